// SPDX-License-Identifier: Apache-2.0

package dump

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

func TestNamesWithinVolumesAreLeftOut(t *testing.T) {
	n := newNames([]string{"shop/data", "/shop/data-2", "/", ""})
	const uuid = "pvc-6e1f0a2b-0000-4000-8000-0123456789ab"
	for line, want := range map[string]string{
		`"Published" path="shop/data"`:                                                     `"Published" path="shop/data"`,
		`open /x/mnt/shop/data/a: b/c d: permission denied; and more`:                      `open /x/mnt/shop/data/… (permission denied)`,
		`open /x/mnt/shop/data-2/a`:                                                        `open /x/mnt/shop/data-2/…`,
		`remove .glusterfs-csi/trash/3f/x.2026/a/b: no space left on device`:               `remove .glusterfs-csi/trash/3f/x.2026/… (no space left on device)`,
		`open /` + uuid + `/diary: stale file handle`:                                      `open /` + uuid + `/… (stale file handle)`,
		`/var/lib/kubelet/pods/1/volumes/kubernetes.io~csi/` + uuid + `/mount: busy`:       `/var/lib/kubelet/pods/1/volumes/kubernetes.io~csi/` + uuid + `/mount: busy`,
		`/var/lib/kubelet/pods/1/volumes/kubernetes.io~csi/` + uuid + `/mount/diary: busy`: `/var/lib/kubelet/pods/1/volumes/kubernetes.io~csi/` + uuid + `/mount/…`,
		`/var/lib/kubelet/pods/1/volume-subpaths/` + uuid + `/c/0: busy`:                   `/var/lib/kubelet/pods/1/volume-subpaths/` + uuid + `/c/0: busy`,
	} {
		if got, reduced := n.leaveOut(line); strings.TrimSuffix(got, "\n") != want || (reduced > 0) != strings.Contains(want, "…") {
			t.Errorf("%s\nbecomes %s, %d reduced; want\n%s", line, got, reduced, want)
		}
	}
}

func TestWhatLooksLikeASecretIsReplaced(t *testing.T) {
	const escaped = `{"msg":"said {\"token\":\"hunter2\"}, password=hunter2","n":1}`
	for line, want := range map[string]string{
		`password=hunter2 token="x" Bearer abcdefghij`:                     `password=<left out> token="<left out>" Bearer <left out>`,
		`-----BEGIN RSA PRIVATE KEY-----MIIE-----END RSA PRIVATE KEY-----`: `<left out>`,
		"c2Vj\ncmV0\n-----END EC PRIVATE KEY-----\nI next":                 "<left out>\nI next", // cut within the key
		`c2Vj\ncmV0\n-----END EC PRIVATE KEY-----\n","n":1}`:               `<left out>\n","n":1}`,
		`password: hunter2`:                          `password: <left out>`,
		`PASSWORD : 'two words', user: me`:           `PASSWORD : '<left out>', user: me`,
		`{"token":"abc","user":"me"}`:                `{"token":"<left out>","user":"me"}`,
		`{"db_password": "a \"b\" c", "user": "me"}`: `{"db_password": "<left out>", "user": "me"}`,
		`{"secret":{"name":"tls","namespace":"x"}}`:  `{"secret":{"name":"tls","namespace":"x"}}`,
		escaped:                     `{"msg":"said {\"token\":\"<left out>\"}, password=<left out>","n":1}`,
		`Authorization: Basic dTpw`: `Authorization: <left out>`,
		`"Authorization":["Basic dTpw"] map[Authorization:[Digest a=b] User:[me]]`: `"Authorization":["<left out>"] map[Authorization:[<left out>] User:[me]]`,
		`it answers: Basic dXNlcjpwYXNz`:                                           `it answers: Basic <left out>`,
		`token:` + "\n" + `next line`:                                              `token:` + "\n" + `next line`,
		`secret "tls" not found, 3 tokens: one, two`:                               `secret "tls" not found, 3 tokens: one, two`,
	} {
		if got := mask(line); got != want {
			t.Errorf("%s\nbecomes %s, want\n%s", line, got, want)
		}
		// An event's message is part of an object, in which secrets are looked for again.
		object, err := json.Marshal(want)
		var again string
		if err := errors.Join(err, json.Unmarshal([]byte(mask(string(object))), &again)); err != nil || again != want {
			t.Errorf("in JSON, %s\nbecomes %s, %v", want, again, err)
		}
	}
}

// TestTheRestOfAnErrorOfSeveralLinesIsLeftOut: a name may have a line break.
func TestTheRestOfAnErrorOfSeveralLinesIsLeftOut(t *testing.T) {
	got, _ := newNames([]string{"pv"}).leaveOut("E a err=<\n\topen /mnt/pv/two\n\tlines: permission denied\n >\nI next\n")
	if got != "E a err=<\n\topen /mnt/pv/…\n >\nI next\n" {
		t.Errorf("%q", got)
	}
}

func TestTheEndOfALogIsKept(t *testing.T) {
	end := tail{size: 10}
	for line := range 1000 {
		_, _ = io.WriteString(&end, strings.Repeat("x", line%7)+"\n")
	}
	if text, cut := end.text(); len(text) > 10 || len(text) < 4 || cut+int64(len(text)) != end.all || text[0] == '\n' && cut == 0 {
		t.Errorf("%q, %d of %d cut", text, cut, end.all)
	}
	end = tail{size: 100}
	_, _ = io.WriteString(&end, "short\n")
	if text, cut := end.text(); text != "short\n" || cut != 0 {
		t.Errorf("%q, %d cut", text, cut)
	}
}

func TestABundleThatIsFullSaysSo(t *testing.T) {
	b := New("v1", time.Time{}, 10)
	b.add(File{Path: "a"}, "12345678\n")
	b.add(File{Path: "b"}, "no room for this\n")
	b.addWhole(File{Path: "c"}, "{\n}")
	if b.Index.Bytes != 9 || len(b.Index.Files) != 1 || len(b.Index.Missing) != 2 || !strings.Contains(b.Index.Missing[0].Why, "--max-size") {
		t.Errorf("%+v", b.Index)
	}
}
