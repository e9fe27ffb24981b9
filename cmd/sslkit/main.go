// Command sslkit is the laboratory from the shell: see package cli.
package main

import "github.com/sslkit/lab/cli"

func main() { cli.Main() }
