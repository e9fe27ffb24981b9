package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sslkit/lab/sslkit/pjrt"
	"github.com/sslkit/lab/sslkit/sweep"
)

func newBackend() *cobra.Command {
	var install bool
	cmd := &cobra.Command{
		Use:   "backend",
		Short: "Show what computes here, why, and what else was tried",
		Long: `backend opens the backend that all commands compute on and says how it was chosen: what
GOMLX_BACKEND names; or else a PJRT plugin that is on this machine, an accelerator before the CPU;
or else one that is installed now; or else GoMLX's pure-Go backend, which needs nothing and is slow.

With --install it fails where no plugin is there and none could be installed.`,
		Example: `  sslkit backend
  sslkit backend --install
  GOMLX_BACKEND=go sslkit backend --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if install {
				// What is there already is good enough; and what pjrt.Open would install, pjrt.Install
				// does without heeding that it failed a short while ago.
				if err := os.Setenv("SSLKIT_NO_INSTALL", "1"); err != nil {
					return err
				}
			}
			_, choice, err := pjrt.Open()
			if err != nil {
				return err
			}
			if install && !strings.HasPrefix(choice.Kind, "xla") {
				if _, err := pjrt.Install(cmd.Context()); err != nil {
					return err
				}
				return again(cmd)
			}
			return output(cmd, choice, func(w io.Writer) error {
				_, err := fmt.Fprintln(w, choice)
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&install, "install", false, "install a CPU plugin if there is no plugin")
	return cmd
}

// again shows the backend from a new process: this one has opened its own already.
func again(cmd *cobra.Command) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	args := []string{"backend"}
	if asJSON, err := cmd.Flags().GetBool("json"); err == nil && asJSON {
		args = append(args, "--json")
	}
	child := exec.CommandContext(cmd.Context(), self, args...)
	child.Stdout, child.Stderr = cmd.OutOrStdout(), cmd.ErrOrStderr()
	return child.Run()
}

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Show the versions of this command and of what it stands on",
		Example: "  sslkit version",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			v := map[string]string{"sslkit": sweep.Version(), "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH}
			if info, ok := debug.ReadBuildInfo(); ok {
				for _, m := range info.Deps {
					if name, found := strings.CutPrefix(m.Path, "github.com/gomlx/"); found {
						v[name] = m.Version
					}
				}
			}
			return output(cmd, v, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "sslkit %s, gomlx %s, go-xla %s, %s, %s\n", v["sslkit"], v["gomlx"], v["go-xla"], v["go"], v["platform"])
				return err
			})
		},
	}
}
