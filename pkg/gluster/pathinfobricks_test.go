// SPDX-License-Identifier: Apache-2.0

package gluster

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// What GlusterFS 10.3 said on a 2×2 volume, of which one brick had the directory elsewhere.
const pathInfo = `((<DISTRIBUTE:gv0-dht> (<REPLICATE:gv0-replicate-0> ` +
	`<POSIX(/data/brick1/gv0):pi-worker2:/data/brick1/gv0/team/pvc-1> ` +
	`<POSIX(/data/brick1/gv0):pi-worker1:/data/brick1/gv0/.glusterfs/ef/e7/efe78bd2-69e0-4dd0-9c61-43c2393a837b/pvc-1.20261126T165100.000000000Z>) ` +
	`(<REPLICATE:gv0-replicate-1> <POSIX(/data/brick2/gv0):pi-worker1:/data/brick2/gv0/team/pvc-1> ` +
	`<POSIX(/data/brick2/gv0):pi-worker2:/data/brick2/gv0/.glusterfs/00/00/00000000-0000-0000-0000-000000000007/pvc-1>)) (gv0-dht-layout (gv0-replicate-0 0 1)))`

func TestWhatEachBrickSaysOfADirectory(t *testing.T) {
	all := ParsePathInfo(pathInfo)
	var said []string
	for _, p := range all {
		said = append(said, p.String()+" "+p.Brick+" "+p.Name())
	}
	want := []string{
		"pi-worker1:/data/brick1/gv0/.glusterfs/ef/e7/efe78bd2-69e0-4dd0-9c61-43c2393a837b/pvc-1.20261126T165100.000000000Z /data/brick1/gv0 pvc-1.20261126T165100.000000000Z",
		"pi-worker1:/data/brick2/gv0/team/pvc-1 /data/brick2/gv0 pvc-1",
		"pi-worker2:/data/brick1/gv0/team/pvc-1 /data/brick1/gv0 pvc-1",
		"pi-worker2:/data/brick2/gv0/.glusterfs/00/00/00000000-0000-0000-0000-000000000007/pvc-1 /data/brick2/gv0 pvc-1",
	}
	if strings.Join(said, "\n") != strings.Join(want, "\n") {
		t.Errorf("it says\n%s\nwant\n%s", strings.Join(said, "\n"), strings.Join(want, "\n"))
	}
	const parent = "00000000-0000-0000-0000-000000000007"
	for name, test := range map[string]struct {
		at, parent string
		elsewhere  int
	}{
		"where three have it":               {"team/pvc-1", parent, 1},
		"… and the parent is not known":     {"team/pvc-1", "", 1},
		"in another parent of that name":    {"team/pvc-1", "00000000-0000-0000-0000-000000000008", 2},
		"where one has it":                  {".glusterfs-csi/trash/pvc-1.20261126T165100.000000000Z", "efe78bd2-69e0-4dd0-9c61-43c2393a837b", 3},
		"where none has it":                 {"pvc-2", "", 4},
		"in another parent, by two of them": {"other/pvc-1", "", 3},
	} {
		if got := Elsewhere(all, test.at, test.parent); len(got) != test.elsewhere {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestOnePlaceOnAllBricks(t *testing.T) {
	said := func(paths ...string) []BrickPath {
		var all []BrickPath
		for i, p := range paths {
			brick := "/b" + strconv.Itoa(i)
			all = append(all, BrickPath{Host: "h", Brick: brick, Real: brick + "/" + p})
		}
		return all
	}
	const handle = ".glusterfs/ef/e7/efe78bd2-69e0-4dd0-9c61-43c2393a837b/pvc-1"
	for name, test := range map[string]struct {
		all  []BrickPath
		want bool
	}{
		"of none":                        {nil, false},
		"of one":                         {said("team/pvc-1"), true},
		"one path":                       {said("team/pvc-1", "team/pvc-1"), true},
		"in two parents":                 {said("team/pvc-1", "other/pvc-1"), false},
		"two names":                      {said("team/pvc-1", "team/pvc-2"), false},
		"one parent by its gfid":         {said(handle, handle), true},
		"two parents by their gfids":     {said(handle, ".glusterfs/00/00/00000000-0000-0000-0000-000000000007/pvc-1"), false},
		"by a path, and by a gfid":       {said("team/pvc-1", handle), true},
		"the third of them is elsewhere": {said("team/pvc-1", handle, "other/pvc-1"), false},
	} {
		if got := IsOnePlace(test.all); got != test.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func TestOtherFormsAreLeftOut(t *testing.T) {
	for _, value := range []string{
		"", "(<REPLICATE:gv0-replicate-0> )", "<POSIX(/b):h:/b>", "<POSIX(/b):h:/b/>", "<POSIX(/b):h:/other/pvc-1>", "<POSIX():h:/b/x>", "<POSIX(/b):h:>",
		"(<POSIX(/b):h:/b/x", "(<POSIX(/b):h:/b>)", "(<POSIX(/b):h:/other/pvc-1>)", "(<POSIX():h:/b/x>)", "(<POSIX(/b)::/b/x>)",
	} {
		if all := ParsePathInfo(value); len(all) != 0 {
			t.Errorf("%q says %v", value, all)
		}
	}
}

func TestWhatIsReadBeforeAValueEndsCounts(t *testing.T) {
	for _, value := range []string{
		"(<DISTRIBUTE:d> (<REPLICATE:r> <POSIX(/b):h:/b/x> <POSIX(/c):h:/c/", "(<POSIX(/b):h:/b/x>", "(<POSIX(/b):h:/b/x>) more",
	} {
		if all := ParsePathInfo(value); len(all) != 1 || all[0] != (BrickPath{Host: "h", Brick: "/b", Real: "/b/x"}) {
			t.Errorf("%q says %v", value, all)
		}
	}
}

// oddNames look like what follows a name.
var oddNames = []string{
	"a<b", "a>b", "<>", ">", "x>)", "x>))", "x> ", "x> <POSIX(", "x>) (<REPLICATE:r> <POSIX(", "x>)) (gv0-dht-layout (", "x> (a-layout b", "> (<A:0", ">) (<A:0", "a<POSIX(x):h:y>", "(", ")", " ", "a b",
}

func TestANameMayHaveAnyCharacter(t *testing.T) {
	for _, name := range oddNames {
		hasName(t, name)
	}
}

// hasName fails the test unless each brick is understood that has a directory of that name.
func hasName(t *testing.T, name string) {
	t.Helper()
	value := strings.ReplaceAll(pathInfo, "pvc-1", name)
	all := ParsePathInfo(value)
	for _, p := range all {
		if strings.TrimSuffix(p.Name(), ".20261126T165100.000000000Z") != name {
			t.Errorf("of %q it says %+v", name, p)
		}
	}
	if len(all) != 4 {
		t.Errorf("of %q it says %v", name, all)
	}
	if placed, err := ParsePlacement(value); err != nil || len(placed.Subvolumes) != 2 || placed.Subvolumes[1].Bricks != 2 || placed.Ranges != 1 {
		t.Errorf("%q lies on %+v, %v", name, placed, err)
	}
}

func FuzzANameInPathInfo(f *testing.F) {
	for _, name := range oddNames {
		f.Add(name)
	}
	ambiguous := regexp.MustCompile(`>\) \(<[A-Z]+:[^<>/() ]+-[0-9]+$`)
	f.Fuzz(func(t *testing.T, name string) {
		if name != "" && name != "." && name != ".." && !strings.ContainsAny(name, "/\x00") && !ambiguous.MatchString(name) {
			hasName(t, name)
		}
	})
}

func FuzzPathInfo(f *testing.F) {
	f.Add(pathInfo, "team/pvc-1", "")
	f.Add("(<POSIX(/b):h:/b/x>y> <POSIX(/c):h:/c/x>y>)", "x>y", "")
	f.Add("<POSIX(/b):h:/b/x>", "x", "efe78bd2-69e0-4dd0-9c61-43c2393a837b")
	f.Fuzz(func(t *testing.T, value, at, parent string) {
		all := ParsePathInfo(value)
		for _, p := range all {
			if p.Host == "" || !strings.HasPrefix(p.Real, strings.TrimSuffix(p.Brick, "/")+"/") || !strings.Contains(value, p.Real) {
				t.Errorf("%q says %+v", value, p)
			}
		}
		if len(Elsewhere(all, at, parent)) > len(all) {
			t.Errorf("more are elsewhere than there are")
		}
	})
}
