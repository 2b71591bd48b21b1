// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package driver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"k8s.io/klog/v2"
	"k8s.io/klog/v2/textlogger"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/client"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/permits"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/statedir"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
	"github.com/glusterfs-csi/glusterfs-csi/tests/container"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

func TestMain(m *testing.M) {
	container.Main(nil)
	if options := os.Getenv(childVariable); options != "" {
		child(options)
	}
	testcluster.Main(m)
}

// patience is how long a test waits for what should take milliseconds, on a busy machine.
const patience = 30 * time.Second

// healthy is the cluster that no test breaks; faulty is the one whose servers tests stop
// and kill, and mend again. Both have a Gluster volume of the same name as any has.
func healthy(t *testing.T) *testcluster.Cluster {
	return testcluster.Shared(t, testcluster.Options{})
}

func faulty(t *testing.T) *testcluster.Cluster {
	return testcluster.Shared(t, testcluster.Options{Volume: "gv1"})
}

// ownVolume is a Gluster volume of the test's own, to be broken.
func ownVolume(t *testing.T, options testcluster.VolumeOptions) (*testcluster.Cluster, string) {
	t.Helper()
	c, name := healthy(t), fmt.Sprintf("own%d", counter.Add(1))
	if err := c.CreateVolume(name, options); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.RemoveVolume(name); err != nil {
			t.Error(err)
		}
	})
	return c, name
}

// counter makes names that no other test uses.
var counter atomic.Int64

func newName() string { return fmt.Sprintf("pvc-%d", counter.Add(1)) }

// rig is one running driver, and its caller.
type rig struct {
	*Driver
	t          *testing.T
	dir        string // holds state/, pods/ and clusters.yaml
	log        *lockedBuffer
	stop       func() // ends the driver, not its clients
	identity   csi.IdentityClient
	controller csi.ControllerClient
	node       csi.NodeClient
}

// clustersYAML is a clusters file with one cluster.
func clustersYAML(servers []string, volumes ...string) string {
	return fmt.Sprintf("clusters:\n- name: %s\n  servers: [%s]\n  volumes: [%s]\n", testcluster.Name, strings.Join(servers, ", "), strings.Join(volumes, ", "))
}

// onGV0 is a driver on the healthy cluster's gv0.
func onGV0(t *testing.T) *rig {
	t.Helper()
	return serve(t, clustersYAML(healthy(t).Servers(), "gv0"))
}

// serve runs a driver with this clusters file, none if it is "", in a directory of its
// own. When the test ends nothing may be mounted at its pods' targets, and its clients,
// once their own mounts are detached, must end by themselves: so nobody holds on to them.
func serve(t *testing.T, clusters string, change ...func(*Options)) *rig {
	t.Helper()
	dir := newDir(t)
	if clusters != "" {
		write(t, filepath.Join(dir, "clusters.yaml"), clusters)
	}
	return serveIn(t, dir, change...)
}

// newDir is a driver's directory. Its name is short enough for a unix socket in it.
func newDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "d") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Chmod(dir, 0o755), os.Mkdir(filepath.Join(dir, "pods"), 0o755)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		endClients(t, dir)
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func options(dir string) Options {
	return Options{
		Mode: All, Name: DefaultName, Version: "test", NodeID: "pi-worker1", TrashRetention: 24 * time.Hour, MaxOperations: permits.Default,
		RestartAfter: time.Second,
		Endpoint:     "unix://" + filepath.Join(dir, "csi.sock"),
		ClustersFile: filepath.Join(dir, "clusters.yaml"), StateDir: filepath.Join(dir, "state"),
	}
}

func serveIn(t *testing.T, dir string, change ...func(*Options)) *rig {
	t.Helper()
	r := &rig{t: t, dir: dir, log: &lockedBuffer{}}
	ctx, cancel := context.WithCancel(logTo(r.log))
	o := options(dir)
	for _, c := range change {
		c(&o)
	}
	var err error
	if r.Driver, err = New(ctx, o); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	connection := r.connect(o.Endpoint)
	stopped := false
	r.stop = func() {
		if stopped {
			return
		}
		stopped = true
		connection.Close()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(func() {
		r.stop()
		if t.Failed() {
			t.Logf("the driver's log:\n%s", r.log)
		}
	})
	return r
}

// logTo is a context whose logger writes there.
func logTo(log *lockedBuffer) context.Context {
	return klog.NewContext(context.Background(), textlogger.NewLogger(textlogger.NewConfig(textlogger.Output(log))))
}

func (r *rig) connect(endpoint string) *grpc.ClientConn {
	r.t.Helper()
	connection, err := grpc.NewClient(endpoint, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.WaitForReady(true)))
	if err != nil {
		r.t.Fatal(err)
	}
	r.identity, r.controller, r.node = csi.NewIdentityClient(connection), csi.NewControllerClient(connection), csi.NewNodeClient(connection)
	return connection
}

// endClients detaches the clients of a stopped driver, and waits until they have ended.
func endClients(t *testing.T, dir string) {
	t.Helper()
	for _, e := range mountsBelow(t, filepath.Join(dir, "pods")) {
		t.Errorf("left mounted: %s of %s at %q", e.Root, e.Source, e.Target)
		if err := mount.Detach(e.Target); err != nil {
			t.Error(err)
		}
	}
	host, err := client.NewHost(filepath.Join(dir, "state"), gluster.WatchClusters(t.Context(), filepath.Join(dir, "clusters.yaml"), nil))
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	for _, c := range host.Clients() {
		if err := statedir.StartOf(c.Mountpoint).Discard(); err != nil {
			t.Error(err)
		}
	}
	testcluster.Eventually(t, patience, func() error {
		if left := host.Clients(); len(left) > 0 {
			return fmt.Errorf("clients that somebody still uses: %+v", left)
		}
		return nil
	})
	for _, e := range mountsBelow(t, filepath.Join(dir, "state")) { // of clients that were killed
		if err := mount.Detach(e.Target); err != nil {
			t.Error(err)
		}
	}
}

func mountsBelow(t *testing.T, dir string) []mount.Entry {
	t.Helper()
	entries, err := mount.List()
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(entries, func(e mount.Entry) bool { return !strings.HasPrefix(e.Target, dir+"/") })
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// setClusters replaces the clusters file, which the driver reads by itself.
func (r *rig) setClusters(content string) {
	r.t.Helper()
	write(r.t, filepath.Join(r.dir, "clusters.yaml"), content)
}

// target is a path for a publish target.
func (r *rig) target(name string) string { return filepath.Join(r.dir, "pods", name) }

func (r *rig) context() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), patience)
}

// capability is a mount capability. The flags are mount options.
func capability(mode csi.VolumeCapability_AccessMode_Mode, flags ...string) *csi.VolumeCapability {
	return &csi.VolumeCapability{
		AccessType: &csi.VolumeCapability_Mount{Mount: &csi.VolumeCapability_MountVolume{MountFlags: flags}},
		AccessMode: &csi.VolumeCapability_AccessMode{Mode: mode},
	}
}

const manyWriters = csi.VolumeCapability_AccessMode_MULTI_NODE_MULTI_WRITER

// request is a CreateVolumeRequest with these StorageClass parameters ("uid", "1001", …).
func request(name string, parameters ...string) *csi.CreateVolumeRequest {
	all := map[string]string{}
	for i := 0; i < len(parameters); i += 2 {
		all[parameters[i]] = parameters[i+1]
	}
	return &csi.CreateVolumeRequest{
		Name: name, Parameters: all, CapacityRange: &csi.CapacityRange{RequiredBytes: 1 << 30},
		VolumeCapabilities: []*csi.VolumeCapability{capability(manyWriters)},
	}
}

// sized is a request for so many bytes: no Gluster volume gives more than it has.
func sized(name string, size int64) *csi.CreateVolumeRequest {
	wanted := request(name)
	wanted.CapacityRange.RequiredBytes = size
	return wanted
}

func (r *rig) tryCreate(request *csi.CreateVolumeRequest) (*csi.Volume, error) {
	ctx, cancel := r.context()
	defer cancel()
	response, err := r.controller.CreateVolume(ctx, request)
	return response.GetVolume(), err
}

// create makes a volume of a new name.
func (r *rig) create(parameters ...string) *csi.Volume {
	r.t.Helper()
	v, err := r.tryCreate(request(newName(), parameters...))
	if err != nil {
		r.t.Fatal(err)
	}
	return v
}

// static is a volume that no CreateVolume made: an operator's PersistentVolume.
func static(volume, path string) *csi.Volume {
	return &csi.Volume{VolumeId: testcluster.Name + "/" + volume + "/" + newName(), VolumeContext: map[string]string{pathKey: path}}
}

func (r *rig) delete(v *csi.Volume) error {
	ctx, cancel := r.context()
	defer cancel()
	_, err := r.controller.DeleteVolume(ctx, &csi.DeleteVolumeRequest{VolumeId: v.GetVolumeId()})
	return err
}

// how changes a NodePublishVolumeRequest.
type how func(*csi.NodePublishVolumeRequest)

func readOnly(request *csi.NodePublishVolumeRequest) { request.Readonly = true }

func as(mode csi.VolumeCapability_AccessMode_Mode, flags ...string) how {
	return func(request *csi.NodePublishVolumeRequest) { request.VolumeCapability = capability(mode, flags...) }
}

func group(gid string) how {
	return func(request *csi.NodePublishVolumeRequest) {
		request.GetVolumeCapability().GetMount().VolumeMountGroup = gid
	}
}

func publishRequest(v *csi.Volume, target string, change ...how) *csi.NodePublishVolumeRequest {
	request := &csi.NodePublishVolumeRequest{
		VolumeId: v.GetVolumeId(), VolumeContext: v.GetVolumeContext(), TargetPath: target, VolumeCapability: capability(manyWriters),
	}
	for _, c := range change {
		c(request)
	}
	return request
}

func (r *rig) tryPublish(v *csi.Volume, target string, change ...how) error {
	ctx, cancel := r.context()
	defer cancel()
	_, err := r.node.NodePublishVolume(ctx, publishRequest(v, target, change...))
	return err
}

// publish returns the target.
func (r *rig) publish(v *csi.Volume, name string, change ...how) string {
	r.t.Helper()
	target := r.target(name)
	if err := r.tryPublish(v, target, change...); err != nil {
		r.t.Fatal(err)
	}
	return target
}

func (r *rig) tryUnpublish(v *csi.Volume, target string) error {
	ctx, cancel := r.context()
	defer cancel()
	_, err := r.node.NodeUnpublishVolume(ctx, &csi.NodeUnpublishVolumeRequest{VolumeId: v.GetVolumeId(), TargetPath: target})
	return err
}

// unpublish takes the volume away and makes sure that nothing is left at the targets.
func (r *rig) unpublish(v *csi.Volume, targets ...string) {
	r.t.Helper()
	for _, target := range targets {
		if err := r.tryUnpublish(v, target); err != nil {
			r.t.Fatal(err)
		}
		nothingAt(r.t, target)
	}
}

func nothingAt(t *testing.T, target string) {
	t.Helper()
	at, err := mount.At(target)
	if _, statErr := os.Lstat(target); len(at) > 0 || err != nil || !errors.Is(statErr, os.ErrNotExist) {
		t.Errorf("at %q is %+v, %v, %v", target, at, err, statErr)
	}
}

// pid is that of the driver's only client.
func (r *rig) pid() int {
	r.t.Helper()
	clients := r.host.Clients()
	if len(clients) != 1 {
		r.t.Fatalf("clients: %+v, want one", clients)
	}
	return clients[0].PID
}

// code fails the test unless err has this code, and its sentence all of the words.
func code(t *testing.T, err error, want codes.Code, words ...string) {
	t.Helper()
	if err := expect(err, want, words...); err != nil {
		t.Fatal(err)
	}
}

func expect(err error, want codes.Code, words ...string) error {
	if status.Code(err) != want {
		return fmt.Errorf("want %s, got %w", want, err)
	}
	for _, word := range words {
		if !strings.Contains(status.Convert(err).Message(), word) {
			return fmt.Errorf("it does not say %q: %w", word, err)
		}
	}
	return nil
}

// spread is what the driver's own files of a kind are spread over.
var spread = regexp.MustCompile(`^(\.glusterfs-csi/[a-z]+)/[0-9a-f]{2}/`)

// traces are the paths on a brick that a volume of this name has left: its directory,
// wherever it is, its record, trash entries, files half written, without the directories that the driver's own are
// spread over.
func traces(t *testing.T, c *testcluster.Cluster, volume, name string) []string {
	t.Helper()
	var found []string
	brick := c.BrickPath(volume, 0)
	err := filepath.WalkDir(brick, func(path string, d os.DirEntry, err error) error {
		if errors.Is(err, os.ErrNotExist) {
			return nil // gone meanwhile
		}
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(brick, path)
		if rel == ".glusterfs" {
			return filepath.SkipDir // the brick's own
		}
		if d.Name() == name || strings.HasPrefix(d.Name(), name+".") {
			found = append(found, spread.ReplaceAllString(rel, "$1/"))
			if d.IsDir() {
				return filepath.SkipDir
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// stored fails the test unless a volume's traces are these. What goes on after a call was
// cancelled is waited for.
func stored(t *testing.T, c *testcluster.Cluster, volume, name string, want ...string) {
	t.Helper()
	slices.Sort(want)
	testcluster.Eventually(t, patience, func() error {
		got := traces(t, c, volume, name)
		slices.Sort(got)
		for i, path := range got { // a trash entry's time
			if strings.HasPrefix(path, ".glusterfs-csi/trash/") {
				got[i] = ".glusterfs-csi/trash/" + name
			}
		}
		got = slices.Compact(got) // its data and its record
		if !slices.Equal(got, want) {
			return fmt.Errorf("on brick 0 of %s is %q, want %q", volume, got, want)
		}
		return nil
	})
}

// record is the path of a volume's record.
func record(name string) string { return ".glusterfs-csi/volumes/" + name + ".json" }

// trashed is the path of a volume's trash entry, as stored shows it.
func trashed(name string) string { return ".glusterfs-csi/trash/" + name }

// nameOf is the last part of a volume ID.
func nameOf(v *csi.Volume) string { return filepath.Base(v.GetVolumeId()) }

// owner is uid:gid and mode.
func owner(t *testing.T, path string) string {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%d:%d %04o", st.Uid, st.Gid, st.Mode&0o7777)
}
