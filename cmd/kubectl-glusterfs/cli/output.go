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
)

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
