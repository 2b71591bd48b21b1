// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/glusterfs-csi/glusterfs-csi/cmd/kubectl-glusterfs/report"
)

// command is what runs of all commands have.
type command struct {
	env        Environment
	connection connection
	format     string
}

// style is that of a report.
func (c *command) style() report.Style {
	return report.Style{Width: c.env.Width, Colour: c.env.Colour, Wide: c.format == "wide"}
}

// say is progress.
func (c *command) say(format string, args ...any) { fmt.Fprintf(c.env.Err, format+"\n", args...) }

// encode writes a value as -o says, and returns false where that is for people.
func (c *command) encode(value any) (isDone bool, err error) {
	if c.format != "json" && c.format != "yaml" {
		return false, nil
	}
	return true, encode(c.env.Out, c.format, value)
}

// encodeList is encode of a list.
func encodeList[T any](c *command, kind string, items []T) (isDone bool, err error) {
	return c.encode(map[string]any{"apiVersion": apiVersion, "kind": kind, "items": append([]T{}, items...)})
}

// wrong is what flags must not say together.
type wrong struct {
	is   bool
	says string
}

// check is of a command's flags.
func (c *command) check(name string, all []wrong) error {
	for _, w := range all {
		if w.is {
			return fmt.Errorf("%w: %s; see `kubectl glusterfs %s --help`", errUsage, w.says, name)
		}
	}
	return checkFormat(c.format)
}

// formats are what -o takes.
var formats = []string{"table", "wide", "json", "yaml", "name"}

// addOutput offers -o.
func addOutput(c *cobra.Command, format *string) {
	c.Flags().StringVarP(format, "output", "o", "table", "table, wide, json, yaml or name")
	_ = c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp))
}

func checkFormat(format string) error {
	if !slices.Contains(formats, format) {
		return fmt.Errorf("%w: -o %s: it must be one of %s", errUsage, format, strings.Join(formats, ", "))
	}
	return nil
}

// encode writes a value as JSON or YAML.
func encode(out io.Writer, format string, value any) error {
	text, err := json.MarshalIndent(value, "", "    ")
	if err != nil {
		return err
	}
	if format == "yaml" {
		text, err = yaml.JSONToYAML(text)
	} else {
		text = append(text, '\n')
	}
	if err != nil {
		return err
	}
	_, err = out.Write(text)
	return err
}

// documents writes objects as YAML documents, for kubectl apply.
func documents(out io.Writer, objects []map[string]any) error {
	for _, o := range objects {
		fmt.Fprintln(out, "---")
		if err := encode(out, "yaml", o); err != nil {
			return err
		}
	}
	return nil
}
