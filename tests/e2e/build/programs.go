// SPDX-License-Identifier: Apache-2.0

package build

// Program is one that Ensure makes.
type Program struct {
	Name    string
	Module  string // directory of the module that says which versions it is made from
	Origin  string // path of the module that it is part of; that one's version is the program's
	Package string // below Origin
	// Stamp are string variables of the program and their values, in which VERSION stands for the version, e.g. v1.37.2, and MAJOR
	// and MINOR for the first two numbers of it.
	Stamp []string
	C     bool   // the package is one file in C
	Tags  string // of the build
	Cgo   bool   // parts of it are in C
	// Test says that it is the test binary of the module's own root package.
	Test bool
}

// Cluster are the programs of a cluster, and the sidecars of the driver's controller.
func Cluster() []Program {
	const kubernetes, containerd = "k8s.io/kubernetes", "github.com/containerd/containerd/v2"
	programs := []Program{{Name: "pause", Module: "kubernetes", Origin: kubernetes, Package: "build/pause/linux/pause.c", C: true}}
	for _, name := range []string{"kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kubectl", "kube-proxy"} {
		programs = append(programs, Program{Name: name, Module: "kubernetes", Origin: kubernetes, Package: "cmd/" + name, Stamp: kubernetesStamp()})
	}
	programs = append(programs, Program{Name: "etcd", Module: "etcd", Origin: "go.etcd.io/etcd/server/v3"})
	for _, name := range []string{"containerd", "containerd-shim-runc-v2", "ctr"} {
		programs = append(programs, Program{
			Name: name, Module: "containerd", Origin: containerd, Package: "cmd/" + name, Stamp: []string{containerd + "/version.Version=VERSION"},
		})
	}
	// Debian 12's runc cannot map users, so it would not even ask the driver's mounts whether they can.
	programs = append(programs, Program{Name: "runc", Module: "runc", Origin: "github.com/opencontainers/runc", Tags: "seccomp", Cgo: true})
	return append(programs, Program{
		Name: "csi-provisioner", Module: "provisioner", Origin: "github.com/kubernetes-csi/external-provisioner/v6", Package: "cmd/csi-provisioner",
		Stamp: []string{"main.version=VERSION"},
	}, Program{
		Name: "csi-resizer", Module: "resizer", Origin: "github.com/kubernetes-csi/external-resizer/v2", Package: "cmd/csi-resizer",
		Stamp: []string{"main.version=VERSION"},
	}, snapshotter("csi-snapshotter"), snapshotter("snapshot-controller"))
}

// snapshotter is one of the two programs that make snapshots of VolumeSnapshots.
func snapshotter(name string) Program {
	return Program{
		Name: name, Module: "snapshotter", Origin: "github.com/kubernetes-csi/external-snapshotter/v8", Package: "cmd/" + name,
		Stamp: []string{"main.version=VERSION"},
	}
}

// Names of programs that Upstream has.
const (
	Suite   = "storage.test"
	Ginkgo  = "ginkgo"
	Agnhost = "agnhost"
)

// Upstream are Kubernetes' own tests of storage, what runs them in parallel, what most of their pods run, and what they end containers
// with on the nodes.
func Upstream() []Program {
	const module, kubernetes = "upstream", "k8s.io/kubernetes"
	return []Program{
		{Name: Suite, Module: module, Origin: kubernetes, Stamp: kubernetesStamp(), Test: true},
		{Name: Ginkgo, Module: module, Origin: "github.com/onsi/ginkgo/v2", Package: "ginkgo"},
		{Name: Agnhost, Module: module, Origin: kubernetes, Package: "test/images/agnhost", Stamp: kubernetesStamp()},
		{Name: "crictl", Module: "critools", Origin: "sigs.k8s.io/cri-tools", Package: "cmd/crictl", Stamp: []string{"sigs.k8s.io/cri-tools/pkg/version.Version=VERSION"}},
	}
}

// kubernetesStamp is what a build from the module does not know by itself. Components compare it.
func kubernetesStamp() []string {
	var stamp []string
	for _, where := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		for _, value := range []string{
			"gitVersion=VERSION", "gitMajor=MAJOR", "gitMinor=MINOR", "gitTreeState=clean",
			"gitCommit=0000000000000000000000000000000000000000", "buildDate=2026-01-01T00:00:00Z",
		} {
			stamp = append(stamp, where+"."+value)
		}
	}
	return stamp
}
