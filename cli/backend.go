package cli

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sslkit/lab/sslkit/pjrt"
	"github.com/sslkit/lab/sslkit/runs"
)

func (c *cli) backend() *cobra.Command {
	var install, unverified bool
	cmd := &cobra.Command{
		Use:   "backend",
		Short: "Show what computes here, why, and what else was tried",
		Long: `backend opens the backend that all commands compute on and says how it was chosen: what
GOMLX_BACKEND names; or else a PJRT plugin that is on this machine, an accelerator before the CPU;
or else one that is installed now; or else GoMLX's pure-Go backend, which needs nothing and is slow.

With --install it fails where no plugin is there and none could be installed. What is installed
has a known checksum; where there is no such plugin (other than on Linux with x86-64),
--allow-unverified, or SSLKIT_ALLOW_UNVERIFIED=1 for all commands and notebooks, lets go-xla's
installer bring one, which verifies nothing of what it downloads.`,
		Example: `  sslkit backend
  sslkit backend --install
  sslkit backend --install --allow-unverified
  GOMLX_BACKEND=go sslkit backend --json`,
		Args: count(0, 0, "flags only"),
		RunE: func(*cobra.Command, []string) error {
			var failed error
			if unverified {
				if err := os.Setenv("SSLKIT_ALLOW_UNVERIFIED", "1"); err != nil {
					return err
				}
			}
			if install {
				failed = c.interruptible(func(ctx context.Context) error {
					_, err := pjrt.Install(ctx)
					return err
				})
				// What could not be had just now is not to be tried again.
				if err := os.Setenv("SSLKIT_NO_INSTALL", "1"); err != nil {
					return err
				}
			}
			_, choice, err := pjrt.Open()
			if err != nil {
				return err
			}
			if install && os.Getenv("GOMLX_BACKEND") == "" && choice.Kind == "go" {
				if failed == nil { // it is there and does not work
					failed = fmt.Errorf("%s", choice.Why)
				}
				return failed
			}
			return c.print(choice, func() error { return c.printf("%v\n", choice) })
		},
	}
	cmd.Flags().BoolVar(&unverified, "allow-unverified", false, "where no plugin with a known checksum is to be had, run go-xla's installer")
	cmd.Flags().BoolVar(&install, "install", false, "install a plugin for the CPU first")
	return cmd
}

func (c *cli) version() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Show the versions of this command and of what it stands on",
		Example: "  sslkit version\n  sslkit version --json",
		Args:    count(0, 0, "flags only"),
		RunE: func(*cobra.Command, []string) error {
			info, _ := debug.ReadBuildInfo()
			v := versions(info)
			return c.print(v, func() error {
				parts := []string{"sslkit " + v["sslkit"]}
				for _, module := range []string{"gomlx", "go-xla"} {
					if v[module] != "" { // a test's binary has no versions of modules
						parts = append(parts, module+" "+v[module])
					}
				}
				return c.printf("%s\n", strings.Join(append(parts, v["go"], v["platform"]), ", "))
			})
		},
	}
}

// versions are those of the command, of Go and of GoMLX's modules, by the last part of their path.
func versions(info *debug.BuildInfo) map[string]string {
	v := map[string]string{"sslkit": runs.Version(), "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH}
	if info == nil {
		return v
	}
	for _, m := range info.Deps {
		if name, found := strings.CutPrefix(m.Path, "github.com/gomlx/"); found {
			v[name] = m.Version
		}
	}
	return v
}
