// SPDX-License-Identifier: Apache-2.0

package main

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/tests/documented"
)

func TestEveryFlagIsDocumented(t *testing.T) {
	var serving, administering []string
	var collect func(c *cobra.Command)
	collect = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			collect(sub)
		}
		into := &administering
		if slices.ContainsFunc(serveCommands(&sharedFlags{}), func(s *cobra.Command) bool { return s.Use == c.Use }) {
			into = &serving
			c.InheritedFlags().VisitAll(func(f *pflag.Flag) { serving = append(serving, flagName(f)) })
		}
		c.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) { *into = append(*into, flagName(f)) })
	}
	collect(newRoot())
	documented.Compare(t, "Flags of `glusterfs-csi controller|node|all|mounter`", serving)
	documented.Compare(t, "Flags of `glusterfs-csi volume|trash|snapshot|clients|doctor|debug|dump|uninstall-check`", administering)
}

// flagName is how people write a flag.
func flagName(f *pflag.Flag) string {
	if f.Name == f.Shorthand {
		return "-" + f.Name
	}
	return "--" + f.Name
}

func TestEveryKeyOfTheClustersFileIsDocumented(t *testing.T) {
	keys := []string{"clusters"}
	for field := range fields(reflect.TypeFor[gluster.Cluster]()) {
		keys = append(keys, field)
	}
	documented.Compare(t, "The clusters file", keys)
}

// fields are the names of a struct's fields in YAML.
func fields(of reflect.Type) map[string]bool {
	names := map[string]bool{}
	for i := range of.NumField() {
		name, _, _ := strings.Cut(of.Field(i).Tag.Get("json"), ",")
		names[name] = true
	}
	return names
}
