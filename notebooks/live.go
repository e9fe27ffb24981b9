package notebooks

import (
	"context"
	"os"

	"github.com/janpfeifer/gonb/gonbui"
	"github.com/janpfeifer/must"

	"github.com/sslkit/lab/show"
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/runs"
	"github.com/sslkit/lab/widgets"
)

// Live returns c's run as s.Pretrain does, and shows below the cell how it goes while it trains: charts that follow each epoch, and a
// button that stops it, which saves the run; running the cell again goes on from there. The charts stay when the cell is done.
// Where nobody looks at the cell they are drawn once, at the end.
func Live(ctx context.Context, s *runs.Store, c sslkit.Config) *runs.Record {
	charts, stop := "sslkit_live_"+gonbui.UniqueId(), "sslkit_stop_"+gonbui.UniqueId()
	watched := gonbui.IsNotebook && os.Getenv("SSLKIT_HEADLESS") == ""
	begun := false
	report := s.Report
	defer func() { s.Report = report }()
	s.Report = func(p runs.Progress) {
		if report != nil {
			report(p)
		}
		if !watched || p.Step.Steps == 0 && p.Epoch == nil {
			return
		}
		if !begun {
			begun = true
			gonbui.UpdateHTML(stop, widgets.StopButton(stop))
		}
		if p.Epoch != nil {
			gonbui.UpdateHTML(charts, must.M1(show.Live(c, *p.Epoch)).HTML())
		}
	}
	r, err := s.Pretrain(ctx, c)
	if begun {
		gonbui.UpdateHTML(stop, "")
	}
	must.M(err)
	below.end()
	if gonbui.IsNotebook {
		gonbui.UpdateHTML(charts, must.M1(show.Live(r.Config, r.History)).HTML())
		gonbui.Sync()
	}
	return r
}
