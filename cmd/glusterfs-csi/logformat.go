// SPDX-License-Identifier: Apache-2.0

package main

import (
	"flag"
	"fmt"
	"io"
	"log/slog"

	"github.com/spf13/cobra"
	"k8s.io/klog/v2"
)

// logFormat is a flag, a pflag.Value.
type logFormat string

const (
	textFormat logFormat = "text" // klog's own
	jsonFormat logFormat = "json"
)

func (f *logFormat) String() string { return string(*f) }
func (f *logFormat) Type() string   { return "format" }

func (f *logFormat) Set(text string) error {
	switch wanted := logFormat(text); wanted {
	case textFormat, jsonFormat:
		*f = wanted
		return nil
	}
	return fmt.Errorf("a log is %s or %s", textFormat, jsonFormat)
}

// apply makes it that of klog's, which decides by -v what is logged.
func (f *logFormat) apply(out io.Writer) {
	if *f == jsonFormat {
		klog.SetSlogLogger(slog.New(slog.NewJSONHandler(out, nil)))
	}
}

// addLogFlags offers klog's verbosity and none of its two dozen other flags, and the format.
func addLogFlags(root *cobra.Command) {
	flags := flag.NewFlagSet("klog", flag.ContinueOnError)
	klog.InitFlags(flags)
	root.PersistentFlags().AddGoFlag(flags.Lookup("v"))
	root.PersistentFlags().Lookup("v").Usage = "how much to log: 0 calls and events, 4 kubelet's periodic questions too, 5 whole requests"
	format := textFormat
	root.PersistentFlags().Var(&format, "log-format", "how to log: text, or json, an object a line")
	root.PersistentPreRun = func(c *cobra.Command, _ []string) { format.apply(c.ErrOrStderr()) }
}
