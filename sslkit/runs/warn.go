package runs

import (
	"fmt"

	"github.com/sslkit/lab/sslkit"
)

// Warnings say what the record's last epoch shows to have gone wrong, and what to try. A method that does badly is not a
// reason for one, only a collapse or a run that has not begun to learn.
func (r *Record) Warnings() []string {
	final := r.Final()
	var out []string
	if rank, measured := final["effective_rank"]; measured && rank < 2 {
		out = append(out, fmt.Sprintf("collapse: the features of all images lie on a line (effective rank %.2f); try a lower learning rate, more negatives, or what keeps the method from collapsing", rank))
	}
	if std, measured := final["projection_std"]; measured && std < 0.01 {
		out = append(out, fmt.Sprintf("collapse: the projections of all images are the same (standard deviation %.4f of unit rows); try a higher temperature or a lower learning rate", std))
	}
	if m, ok := r.Config.Method.(sslkit.Diagnoser); ok && len(r.History.Loss) > 0 {
		if text := m.Diagnose(r.History); text != "" {
			return append(out, text)
		}
	}
	loss, measured := final["loss"]
	if chance := r.Config.GuessLoss(); measured && chance > 0 && loss > 0.98*chance {
		out = append(out, fmt.Sprintf("the loss of %.3f is what guessing gives (%.3f): nothing is told apart; try more epochs, a lower learning rate, or views that have more in common", loss, chance))
	}
	return out
}
