// SPDX-License-Identifier: Apache-2.0

// Package upstream is Kubernetes' own tests of CSI drivers as a test binary: those that --storage.testdriver defines, and of the
// thousands that Kubernetes' e2e.test has besides only those of pods, which the framework brings along.
package upstream

import (
	"context"
	"flag"
	"os"
	"testing"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"
	"k8s.io/component-base/logs"
	"k8s.io/kubernetes/test/e2e/framework"
	"k8s.io/kubernetes/test/e2e/framework/config"
	e2enode "k8s.io/kubernetes/test/e2e/framework/node"

	_ "k8s.io/component-base/logs/testinit"               // the flags of klog
	_ "k8s.io/kubernetes/test/e2e/feature"                // the features that tests may be labelled with
	_ "k8s.io/kubernetes/test/e2e/framework/debug/init"   // events and pods of the namespace when a test fails
	_ "k8s.io/kubernetes/test/e2e/framework/metrics/init" // what tests measure themselves
	_ "k8s.io/kubernetes/test/e2e/framework/node/init"    // both nodes must still be ready after each test
	_ "k8s.io/kubernetes/test/e2e/storage/external"       // --storage.testdriver
)

func TestMain(m *testing.M) {
	config.CopyFlags(config.Flags, flag.CommandLine)
	framework.RegisterCommonFlags(flag.CommandLine)
	framework.RegisterClusterFlags(flag.CommandLine)
	flag.Parse()
	framework.AfterReadingAllFlags(&framework.TestContext)
	os.Exit(m.Run())
}

func TestExternalStorage(t *testing.T) {
	logs.InitLogs()
	defer logs.FlushLogs()
	gomega.RegisterFailHandler(framework.Fail)
	suite, reporter := framework.CreateGinkgoConfig()
	ginkgo.RunSpecs(t, "Kubernetes external storage", suite, reporter)
}

// A node that is not ready would fail every test one after the other.
var _ = ginkgo.SynchronizedBeforeSuite(func(ctx context.Context) {
	client, err := framework.LoadClientset()
	framework.ExpectNoError(err, "connect to the cluster")
	framework.ExpectNoError(e2enode.WaitForAllNodesSchedulable(ctx, client, framework.NewTimeoutContext().NodeSchedulable))
}, func() {})
