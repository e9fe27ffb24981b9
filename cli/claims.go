package cli

import (
	"context"

	"github.com/google/renameio/v2"
	"github.com/spf13/cobra"

	"github.com/sslkit/lab/show"
	"github.com/sslkit/lab/sslkit/runs"
	"github.com/sslkit/lab/sslkit/study"
)

func (c *cli) claims() *cobra.Command {
	var train bool
	var md, ship string
	var seeds []int64
	cmd := &cobra.Command{
		Use:   "claims [CLAIM...]",
		Short: "Which of the lecture's claims hold here, and by what figures",
		Long: `claims tests what the lecture says: for each claim an experiment, whose arms, figures and expectations are fixed
in the code. Without --train it tells what the records say, those of this checkout included, and trains nothing.

Each run is kept: an interrupted experiment goes on where it was.`,
		Example: `  sslkit claims
  sslkit claims temperature head --train
  sslkit claims --md docs/claims.md
  sslkit claims temperature --ship records`,
		Args: count(0, -1, "names of claims"),
		ValidArgsFunction: func(*cobra.Command, []string, string) (names []string, _ cobra.ShellCompDirective) {
			all, _ := study.Lecture()
			for _, claim := range all {
				names = append(names, claim.Name)
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := writable(md); err != nil {
				return err
			}
			for _, name := range args {
				if _, err := study.LectureClaim(name); err != nil {
					return usageError{err}
				}
			}
			if n := len(seeds); n == 1 || n == 2 {
				return usagef("--seeds: give at least three: fewer decide nothing")
			}
			if len(args) == 0 {
				args = nil
			}
			return c.compute(func(ctx context.Context, store *runs.Store) error {
				claims, err := study.TestClaims(ctx, store, train, seeds, args...)
				if err != nil {
					return err
				}
				if md != "" {
					page, err := show.Claims(claims)
					if err == nil {
						err = renameio.WriteFile(md, []byte(page), 0o644)
					}
					if err != nil {
						return err
					}
				}
				if ship != "" {
					for _, t := range claims.Tested {
						if err := store.Ship(ctx, ship, t.Keys...); err != nil {
							return err
						}
					}
				}
				return c.print(claims, func() error {
					for _, t := range claims.Tested {
						if err := c.printf("%s (%s)\n", t.Name, t.Item); err != nil {
							return err
						}
						if err := c.printCaptioned(t); err != nil {
							return err
						}
						if err := c.printf("\n"); err != nil {
							return err
						}
					}
					if err := c.printf("%s\n", claims.Caption()); err != nil {
						return err
					}
					return c.printWritten(md)
				})
			})
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&train, "train", false, "train what has no record")
	flags.Int64SliceVar(&seeds, "seeds", nil, "seeds that every arm is trained with (default each claim's own)")
	flags.StringVar(&md, "md", "", "write the page of claims as Markdown to `FILE`")
	flags.StringVar(&ship, "ship", "", "copy their runs to the records of a checkout in `DIR`, see 'sslkit runs ship'")
	c.storeFlags(cmd)
	flags.SortFlags = false
	return cmd
}

func (c *cli) results() *cobra.Command {
	var md string
	cmd := &cobra.Command{
		Use:   "results",
		Short: "What all encoders of the lecture's claims are good for, side by side",
		Long: `results puts the encoders of all claims that have records into one table for each kind of data.
Nothing is trained: see 'sslkit claims --train'.`,
		Example: `  sslkit results
  sslkit results --md docs/results.md`,
		Args: count(0, 0, ""),
		RunE: func(*cobra.Command, []string) error {
			if err := writable(md); err != nil {
				return err
			}
			return c.compute(func(ctx context.Context, store *runs.Store) error {
				all, err := study.AllResults(ctx, store)
				if err != nil {
					return err
				}
				if md != "" {
					page, err := show.Results(all)
					if err == nil {
						err = renameio.WriteFile(md, []byte(page), 0o644)
					}
					if err != nil {
						return err
					}
				}
				return c.print(all, func() error {
					for _, t := range all {
						if err := c.printCaptioned(t); err != nil {
							return err
						}
						if err := c.printf("\n"); err != nil {
							return err
						}
					}
					return c.printWritten(md)
				})
			})
		},
	}
	cmd.Flags().StringVar(&md, "md", "", "write the page of results as Markdown to `FILE`")
	c.storeFlags(cmd)
	return cmd
}
