package notebooks

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/janpfeifer/gonb/gonbui"
	"github.com/janpfeifer/must"

	"github.com/sslkit/lab/sslkit"
)

// Cells wrap what may fail in must.M1 and its like; a mistake is then said in one sentence.
func init() { must.M = Must }

const interrupted = "Interrupted. What was trained is saved; run the cell again, and it goes on from there."

// Context ends when the cell is interrupted or its kernel stopped: runs then save what they have
// learnt. Running the cell again goes on from there.
func Context() context.Context {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	context.AfterFunc(ctx, func() {
		stop()             // a second signal ends the cell
		leave(interrupted) // for a step that takes longer than the five seconds that GoNB gives the cell
		below.say("interrupted: the step under way is finished and saved")
	})
	return ctx
}

// Must ends the cell with what err says, if it is one: as the error below the cell, with nothing around it. The cells that
// were to run after it do not. It is what must.M and its like do in a program that imports this package.
func Must(err error) {
	if err == nil {
		return
	}
	text := strings.TrimSpace(err.Error())
	if errors.Is(err, sslkit.ErrInterrupted) || errors.Is(err, context.Canceled) {
		text = interrupted
	}
	if below.drawn() { // and left as it is: what was begun is not done
		gonbui.Sync()
	}
	if !leave(text) {
		fmt.Fprintln(os.Stderr, text)
	}
	os.Exit(1)
}

// leave hands the kernel what it is to say if the cell fails, and reports whether it is one that takes it: see env/kernel.
func leave(text string) bool {
	file := os.Getenv("SSLKIT_CELL_ERROR")
	return file != "" && gonbui.IsNotebook && os.WriteFile(file, []byte(text), 0o600) == nil
}
