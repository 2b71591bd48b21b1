// SPDX-License-Identifier: Apache-2.0

package settings

import (
	"errors"
	"strings"
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/glusterd"
)

// brick is a volfile with one option of one translator.
func brick(translator, option, value string) glusterd.Volfile {
	return glusterd.Volfile{
		{Type: "features/locks", Options: map[string]string{}},
		{Type: translator, Options: map[string]string{option: value}},
	}
}

func TestWhatForbidsSomethingIsReadOfABrick(t *testing.T) {
	v := gluster.Volume{Cluster: "pi", Name: "gv0"}
	for name, test := range map[string]struct {
		brick glusterd.Volfile
		cure  string // "" where nothing is forbidden
	}{
		"read-only":             {brick("features/read-only", "read-only", "on"), "gluster volume set gv0 features.read-only off"},
		"worm":                  {brick("features/worm", "worm", "enable"), "gluster volume set gv0 features.worm off"},
		"root-squash":           {brick("protocol/server", "root-squash", "ON"), "gluster volume set gv0 server.root-squash off"},
		"read-only off":         {brick("features/read-only", "read-only", "off"), ""},
		"worm for single files": {brick("features/worm", "worm-file-level", "on"), ""},
		"another translator's":  {brick("features/quota", "read-only", "on"), ""},
		"nothing":               {nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			err := Of(test.brick).Check(v)
			switch {
			case test.cure == "" && err != nil:
				t.Error(err)
			case test.cure != "" && (!errors.Is(err, gluster.ErrRestricted) || !strings.Contains(err.Error(), "`"+test.cure+"`")):
				t.Errorf("it says %v", err)
			}
		})
	}
}

func TestModesAreBentAsBricksBendThem(t *testing.T) {
	for name, test := range map[string]struct {
		brick   glusterd.Volfile
		becomes uint32 // of 2770
		options string
	}{
		"forced":     {brick("storage/posix", "force-directory-mode", "0755"), 0o2775, "storage.force-directory-mode 0755"},
		"masked":     {brick("storage/posix", "create-directory-mask", "0750"), 0o2750, "storage.create-directory-mask 0750"},
		"not at all": {brick("storage/posix", "directory", "/data"), 0o2770, ""},
		"no mode":    {brick("storage/posix", "create-directory-mask", "wide"), 0o2770, ""},
		"no bricks":  {nil, 0o2770, ""},
	} {
		t.Run(name, func(t *testing.T) {
			modes := Of(test.brick).Modes
			if got := modes.Of(0o2770); got != test.becomes || modes.Options() != test.options {
				t.Errorf("2770 becomes %04o, by %q", got, modes.Options())
			}
		})
	}
}
