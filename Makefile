# Everything there is to do with this tree. `make help` lists the targets with the words behind their names.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# The pinned Node that `npm ci` brings; the machine's own may be any that npm runs on.
NODE := node_modules/.bin/node
VITEST := $(NODE) node_modules/vitest/vitest.mjs run

# The lock file alone decides what is installed.
NPM_CI := npm ci --no-audit --no-fund --loglevel=error
$(NODE):
	$(NPM_CI)

.PHONY: installed
installed: $(NODE)
	@$(NODE) conformance/lock-file.ts --installed || $(NPM_CI)

.PHONY: help
help: ## show this list
	@sed -nE 's/^([a-z][a-z0-9-]*):.*## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

.PHONY: demo
demo: need-root installed ## watch a pod live and die through the CRI socket (root; installs what is missing)
	@$(NODE) demo/run.ts

.PHONY: run
run: need-root installed ## berthd in the foreground; ARGS='--log-level debug' adds flags (root)
	@exec bin/berthd $(ARGS)

.PHONY: test
test: need-root installed ## every test, unit and root, after installing what they need (root)
	$(NODE) conformance/setup.ts
	$(VITEST) $(ARGS)

.PHONY: unit
unit: installed ## the tests that need no privileges
	$(VITEST) --project unit $(ARGS)

.PHONY: check
check: installed ## types, lint, import directions, generated files up to date
	$(NODE) node_modules/typescript/bin/tsc --noEmit -p tsconfig.json
	node_modules/.bin/biome check --error-on-warnings .
	$(NODE) conformance/imports.ts
	$(NODE) proto/generate.ts --check
	$(NODE) proto/verify-upstream.ts
	$(NODE) daemon/config/generate.ts --check
	$(NODE) daemon/generate-metrics.ts --check
	$(NODE) cli/generate.ts --check
	$(NODE) doctor/generate.ts --check
	$(NODE) conformance/lock-file.ts --check

.PHONY: conformance
conformance: need-root installed ## the pinned critest against berthd, every skip with its reason (root; needs Go); ARGS='--focus RE'
	$(NODE) conformance/critest/run.ts $(ARGS)

.PHONY: guest-conformance
guest-conformance: need-root installed ## critest in an emulated Debian 13: cgroup v2, systemd, AppArmor (root; needs Go; an hour); ARGS='--focus RE'
	$(NODE) conformance/guest/run.ts $(ARGS)

.PHONY: crictl
crictl: need-root installed ## every verb of the pinned crictl against berthd, by SPDY and WebSocket (root; needs Go)
	$(NODE) conformance/crictl/run.ts $(ARGS)

.PHONY: bench
bench: need-root installed ## the same load on berthd and on Debian's containerd, in one run (root)
	$(NODE) conformance/bench/run.ts $(ARGS)

.PHONY: kubelet-e2e
kubelet-e2e: need-root installed ## a pinned kubelet and every pod of examples/ on berthd (root; needs Go); ARGS='--only NAME'
	$(NODE) conformance/kubelet/run.ts $(ARGS)

.PHONY: cluster-e2e
cluster-e2e: need-root installed ## API server, scheduler, controllers and kubectl over a kubelet on berthd (root; needs Go); ARGS='--only NAME'
	$(NODE) conformance/cluster/run.ts $(ARGS)

.PHONY: sweep
sweep: need-root installed ## every step and program fails, hangs, and dies with berthd; then look what is left (root); ARGS='--shard 1/4'
	$(NODE) conformance/faults/sweep.ts $(ARGS)

.PHONY: soak
soak: need-root installed ## pods by the hundred under random kills of berthd, counted before and after (root); ARGS='--pods 1000'
	$(NODE) conformance/faults/soak.ts $(ARGS)

.PHONY: fuzz
fuzz: need-root installed ## changed requests to berthd, changed input to every parser (root); ARGS='--short', ARGS='--seed N'
	$(NODE) conformance/fuzz/run.ts $(ARGS)

.PHONY: peer-profile
peer-profile: need-root installed ## a default container on Berth and on Debian's containerd: is any of it less confined? (root)
	@$(NODE) conformance/peer-profile/run.ts $(ARGS)

.PHONY: audit
audit: need-root installed ## compare Berth's records with this machine (root); ARGS='--config FILE'
	@bin/berth-audit $(ARGS)

.PHONY: audit-dependencies
audit-dependencies: installed ## advisories against the locked packages, by a registry that serves audits
	@$(NODE) conformance/audit-dependencies.ts

.PHONY: status-page-e2e
status-page-e2e: need-root installed ## the daemon's status page in Debian's chromium, which it installs (root)
	@dpkg -s chromium >/dev/null 2>&1 || apt-get -y -q --no-install-recommends install chromium
	$(VITEST) --project unit daemon/status-page

.PHONY: docs-test
docs-test: need-root installed ## every command of the tutorial and the first session, and what it prints (root)
	$(NODE) conformance/setup.ts
	$(VITEST) conformance/docs $(ARGS)

.PHONY: install
install: need-root installed ## put Berth into /usr/local, with its own Node (root); ARGS='--prefix DIR --destdir DIR'
	@$(NODE) packaging/install.ts $(ARGS)

.PHONY: uninstall
uninstall: need-root installed ## take it away again; images, records and running containers stay (root)
	@$(NODE) packaging/install.ts --uninstall $(ARGS)

.PHONY: deb
deb: installed ## the Debian package, with its own Node inside, in .cache/packages
	@$(NODE) packaging/deb.ts $(ARGS)

.PHONY: generate
generate: installed ## write the files that are made from others: proto/generated, config.toml, docs/config.md, man pages, completion
	$(NODE) proto/generate.ts
	$(NODE) daemon/config/generate.ts
	$(NODE) daemon/generate-metrics.ts
	$(NODE) cli/generate.ts
	$(NODE) doctor/generate.ts
	$(NODE) conformance/lock-file.ts

.PHONY: golden
golden: installed ## rewrite the golden files of the tests; review their diff
	GOLDEN=1 $(VITEST) --project unit runtime/spec

.PHONY: need-root
need-root:
	@[ "$$(id -u)" = 0 ] || { echo "this target changes mounts, namespaces and packages: run it with sudo" >&2; exit 1; }
