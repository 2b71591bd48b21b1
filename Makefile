# SPDX-License-Identifier: Apache-2.0
#
# make demo and make test are all that a fresh machine needs: Debian or Ubuntu with Go, gcc,
# make and apt, as root. `make help` lists the rest.

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
LDFLAGS := -s -w -X main.version=$(VERSION)
TOOL    := go tool -modfile=hack/tools/go.mod
FUZZTIME ?= 60s
CHAOS_TIME ?= 10m
SOAK_TIME ?= 2h
# What needs neither root nor a Debian package: every test file but those that say "//go:build !quick".
QUICK := go test -tags quick ./...
# Root without its rights: what needs them is to fail here as it does for anybody else.
UNPRIVILEGED := $(if $(filter 0,$(shell id -u)),-exec 'setpriv --bounding-set=-all --inh-caps=-all')

# The image for this machine's architecture: what the end-to-end tests have of this repository.
IMAGE := bin/image/glusterfs-csi-$(shell go env GOARCH).tar
E2E   := go -C tests/e2e run ./cmd/e2e

export CGO_ENABLED ?= 1

.DEFAULT_GOAL := help
.PHONY: FORCE help demo test quick unit sanity bench lint vuln fuzz build build-arm64 build-kubectl krew release version image-name test-arm64 image test-image manifests check-manifests
.PHONY: chaos soak hung test-gluster test-vm test-options power test-monitoring packages-monitoring packages-vm e2e e2e-kubectl e2e-story e2e-full e2e-upgrade e2e-upstream e2e-up e2e-down packages packages-image packages-e2e clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: packages ## Play the operator's story on a real gv0 of two servers, in under a minute
	@go run ./hack/demo

test: packages lint unit sanity ## Everything: vet, lint, unit and integration tests with -race, csi-sanity

quick: ## In half a minute, as any user, without GlusterFS: parsers, options, parameters, chart, CLI, fuzz seeds
	@CGO_ENABLED=0 $(QUICK) -count=1 $(UNPRIVILEGED)
	@CGO_ENABLED=0 go -C hack/tools-kube test -count=1 ./...

# Tests mostly wait, for clocks of GlusterFS and of the driver: two processors have work for five packages. The longest ones begin
# first, so that none of them is alone at the end.
UNIT_FIRST := ./pkg/driver ./pkg/volume/lifecycle ./tests/tls

unit: packages ## Unit and integration tests on real GlusterFS, with -race
	@$(TOOL) gotestsum --format pkgname-and-test-fails --hide-summary=skipped -- -p $$((1 + 2 * $$(nproc))) -race -count=1 -timeout 20m \
	    $(UNIT_FIRST) $$(go list ./... | grep -v -e /tests/sanity -e /tests/power -e /tests/monitoring -e /tests/soak)

sanity: packages ## csi-sanity, nothing skipped, on a replicated and on a distributed gv0 (SANITY_ENDPOINT=unix:///… for a driver started by hand)
	@$(TOOL) gotestsum --format standard-verbose -- -race -timeout 20m -count=1 ./tests/sanity
	@$(if $(SANITY_ENDPOINT),,$(TOOL) gotestsum --format standard-verbose -- -race -timeout 20m -count=1 ./tests/sanity -args -subvolumes 2)

bench: packages $(IMAGE) ## Measure against every other way to do it; BENCH=create,publish for some, BENCH_FULL=1 for full sizes, ROUND_TRIP=1ms over a network
	@go run ./bench $(if $(BENCH),-bench $(BENCH)) $(if $(BENCH_FULL),-full) $(if $(ROUND_TRIP),-round-trip $(ROUND_TRIP))

chaos: packages ## Kill and stop everything at random for CHAOS_TIME (10m) under 40 writers; CHAOS_SEED=n as it was that time; CHAOS_SUBVOLUMES=2 on a distributed gv0
	@go test -count=1 -v -timeout 2h -run '^TestChaos$$' ./tests/chaos -chaos.time $(CHAOS_TIME) $(if $(CHAOS_SEED),-chaos.seed $(CHAOS_SEED)) $(if $(CHAOS_SUBVOLUMES),-chaos.subvolumes $(CHAOS_SUBVOLUMES))

soak: packages ## Let volumes come and go on two nodes for SOAK_TIME (2h) while servers, clients and cables fail: what is held stays as much as it was
	@go test -count=1 -v -timeout 12h ./tests/soak -soak.time $(SOAK_TIME) $(if $(SOAK_SEED),-soak.seed $(SOAK_SEED))

hung: packages ## Repeat calls for 5 minutes while every server hangs: goroutines, threads and open files stay as many
	@go test -race -count=1 -v -timeout 15m -run '^TestNothingPilesUpWhileEveryServerHangs$$' ./pkg/driver -hung.time 5m

test-gluster: packages-image ## Unit tests, csi-sanity and 4 minutes of chaos on GlusterFS VERSION=9, 10 or 11; csi-sanity and chaos with this machine's client on its servers
	@hack/gluster-root $(VERSION) $(MAKE) --no-print-directory -o packages unit sanity chaos CHAOS_TIME=4m
	@GLUSTERFS_CSI_TEST_SERVERS=$$(hack/gluster-root $(VERSION)) $(MAKE) --no-print-directory sanity chaos CHAOS_TIME=4m

test-vm: packages-vm ## The demo, csi-sanity, mounts, repair and control groups on ARCH=arm64 or amd64 with Linux KERNEL=5.10, 6.1 or 6.12, in a virtual machine; TESTS=pkg/mount,… RUN=… for some
	@go run ./hack/vm $(if $(ARCH),-arch $(ARCH)) $(if $(KERNEL),-kernel $(KERNEL)) $(if $(TESTS),-tests $(TESTS)) $(if $(RUN),-run '$(RUN)')

test-monitoring: packages-monitoring ## Every alert fires and resolves; every query of alerts and dashboard, asked of a real Prometheus that scrapes the driver, has an answer
	@go test -count=1 -timeout 15m ./tests/monitoring

test-options: packages ## The operator's story and csi-sanity on a gv0 that is set as people set theirs: the table of docs/install.md
	@go test -race -count=1 -v -timeout 20m ./tests/options -args -options.full

power: packages ## Take the power from servers after and within every operation: on XFS and ext4, replica 2, arbiter, 2x2
	@go test -race -count=1 -v -timeout 30m ./tests/power -args -power.full
	@go test -race -count=1 -v -timeout 90m -run '^TestLossOfPower' ./pkg/volume/lifecycle -args -power.full

lint: ## go vet, golangci-lint, and actionlint for the workflows
	@go vet ./...
	@$(TOOL) golangci-lint run ./...
	@go -C tests/e2e vet ./...
	@cd tests/e2e && go tool -modfile=../../hack/tools/go.mod golangci-lint run ./...
	@go tool -modfile=hack/tools-actions/go.mod actionlint .github/workflows/*.yml

vuln: ## govulncheck (needs the vulnerability database on the network)
	@$(TOOL) govulncheck ./...

fuzz: ## Fuzz every parser for FUZZTIME (60s) each
	@go run ./hack/fuzz -fuzztime $(FUZZTIME)

build: ## bin/glusterfs-csi for this machine
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/glusterfs-csi ./cmd/glusterfs-csi

build-arm64: ## bin/arm64/glusterfs-csi
	CGO_ENABLED=0 GOARCH=arm64 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/arm64/glusterfs-csi ./cmd/glusterfs-csi

# Where people have kubectl. They say which version they are by VERSION alone, so that one commit gives the same bytes from a clone and an archive.
PLUGINS := $(foreach os,linux darwin windows,$(foreach arch,amd64 arm64,bin/kubectl/$(os)-$(arch)/kubectl-glusterfs$(if $(filter windows,$(os)),.exe)))

build-kubectl: $(PLUGINS) ## bin/kubectl/*/kubectl-glusterfs: the kubectl plugin for Linux, macOS and Windows, amd64 and arm64

krew: build-kubectl ## As archives for krew, with its manifest: bin/kubectl/glusterfs.yaml
	@go run ./hack/krew -version $(VERSION)

$(PLUGINS): FORCE
	@CGO_ENABLED=0 GOOS=$(word 1,$(subst -, ,$(notdir $(@D)))) GOARCH=$(word 2,$(subst -, ,$(notdir $(@D)))) \
	    go build -trimpath -buildvcs=false -ldflags '$(LDFLAGS)' -o $@ ./cmd/kubectl-glusterfs
	@ls -l $@

test-arm64: packages ## As arm64 under qemu-user: what quick runs, and all of pkg/safepath
	CGO_ENABLED=0 GOARCH=arm64 $(QUICK) -exec qemu-aarch64-static -count=1 -timeout 5m
	CGO_ENABLED=0 GOARCH=arm64 go test -exec qemu-aarch64-static -count=1 -timeout 5m ./pkg/safepath

# The version that the chart is of, and with it a release: its image, plugins and notes.
RELEASE := $(shell sed -n 's/^appVersion: //p' deploy/helm/glusterfs-csi/Chart.yaml)

release: ## All that is released, in bin/release: of one commit the same bytes each time
	@$(MAKE) --no-print-directory image krew VERSION=$(RELEASE)
	@go run ./hack/release -version $(RELEASE) -created $$(git log -1 --format=%ct)
	@go -C hack/tools-kube tool helm lint --strict --quiet ../../bin/release/glusterfs-csi-$(RELEASE:v%=%).tgz -f ../../deploy/helm/glusterfs-csi/ci/pi-values.yaml

version: # of the release
	@echo $(RELEASE)

image-name: # where the release's image is to be found
	@sed -n 's/^  repository: \(.*\)/\1:$(RELEASE)/p' deploy/helm/glusterfs-csi/values.yaml

image: packages-image ## The container image for amd64 and arm64, from the Dockerfile: bin/image/*.tar
	@go run ./hack/image -version $(VERSION) build

test-image: packages-image ## What `make image` built: what it says it has is there; every client option on a real gv0; arm64 under qemu-user
	@go run ./hack/image test

e2e: packages-e2e $(IMAGE) ## The operator's story on a real Kubernetes of two nodes; KEEP=1 leaves the cluster up
	@go -C tests/e2e test -count=1 ./build ./cluster ./image ./install ./upstream
	@$(MAKE) --no-print-directory -j 2 e2e-kubectl e2e-story

# Each waits more than it works.
e2e-kubectl:
	@go -C tests/e2e test -count=1 -timeout 30m ./kubectl

e2e-story:
	@$(E2E) test $(if $(KEEP),-keep)

e2e-full: packages-e2e packages-monitoring $(IMAGE) ## As e2e, with its long parts: 200 claims at once, uninstall, Helm, the store of the API server lost
	@$(E2E) test -full $(if $(KEEP),-keep)

e2e-upgrade: packages-e2e $(IMAGE) ## On the same cluster: from FROM, a commit of an earlier version, to this one, under the pods of 20 volumes, and back
	@rm -rf bin/from && git clone -q . bin/from && git -C bin/from checkout -q $(FROM)
	@$(MAKE) --no-print-directory -C bin/from image
	@$(E2E) test -from ../../bin/from $(if $(KEEP),-keep)

e2e-upstream: packages-e2e $(IMAGE) ## Kubernetes' own tests of storage, on the same cluster; KEEP=1 leaves it up
	@$(E2E) upstream $(if $(KEEP),-keep)

e2e-up: packages-e2e $(IMAGE) ## Start the cluster of two nodes, or what does not run of it (then: go -C tests/e2e run ./cmd/e2e kubectl …)
	@$(E2E) up

e2e-down: ## End it, and fail if anything of it is left
	@$(E2E) down

$(IMAGE): Dockerfile go.mod go.sum $(shell find cmd/glusterfs-csi pkg hack/image hack/spdx -name '*.go')
	@$(MAKE) --no-print-directory image

manifests: ## deploy/kubernetes, from the Helm chart
	@go -C hack/tools-kube run ./manifests

check-manifests: ## The chart and what is made from it: helm lint, every object by the API's types, no drift
	@go -C hack/tools-kube tool helm lint --strict --quiet ../../deploy/helm/glusterfs-csi -f ../../deploy/helm/glusterfs-csi/ci/pi-values.yaml
	@go -C hack/tools-kube vet ./...
	@go -C hack/tools-kube test -count=1 ./...

packages: ## Install what is missing of Debian's packages (GlusterFS, SQLite, qemu-user, …)
	@hack/packages

packages-image: # as packages, and what builds container images
	@hack/packages image

packages-monitoring: # as packages, and Prometheus
	@hack/packages monitoring

packages-vm: # as packages, and what makes virtual machines and runs them
	@hack/packages vm

packages-e2e: # as packages, and what nodes of a Kubernetes cluster run
	@hack/packages e2e

clean: ## Remove what was built
	rm -rf bin
