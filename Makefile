# make figures   run the five scripts, as far as something has changed since they last ran
#                MP_API_KEY=... make figures                      with real data
#                make figures SYSTEM=Ge-Sn COMPOSITION=Ge9Sn1     of another alloy; TARGET=, SOURCE=, MODEL= as below
# make docs      write the pages anew from templates, numbers and options; .venv/bin/python -m docs --examples for the examples
# make test      the tests;  make lint   style and types;  make lock   write the lock files anew (needs uv)
# make bench     every part against the peer it replaces;  make bench-scale   how cost grows with the table
# make torture   try to break every script, in an hour or two; TORTURE="--parts inputs" for a part of it
# make matbench DATA=folder   both gap tasks of matbench, in half an hour; it goes on where it was stopped
# make full TABLE=table.json.gz MEASURED=gaps.csv   the composition model on full tables, for the numbers in DISCUSSION.md
# make measured CALCULATED=... LISTS=...             train the bundled composition models anew, in two minutes
# make multifidelity CRYSTALS=... IDENTIFIED=...     train the bundled structure model anew, in hours
# Each target sets up .venv by itself; all it takes is Python 3.11+ and make.

PYTHON ?= python3
RUN = .venv/bin/python
# All scripts import the same libraries: what the first one compiles is kept for the others.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: figures docs test lint bench bench-scale torture matbench lock full measured multifidelity levels published gpu
.DELETE_ON_ERROR:

# ---------------------------------------------------------------------------------------------------- what is asked for

SOURCE ?= auto
TARGET ?= band_gap
SYSTEM ?= Si-Ge
COMPOSITION ?= $(if $(filter Si-Ge,$(SYSTEM)),Si49Ge51,$(subst -,,$(SYSTEM)))
BUNDLED = data/models/megnet-multifidelity
OWN = $(TRAINED)/models/megnet-$(TARGET)
# The bundled model knows gaps; another property takes the model that the run trains.
MODEL ?= $(if $(filter band_gap,$(TARGET)),$(BUNDLED),$(OWN))

# Whether there is a key, in the environment or in the settings file that pymatgen reads; never the key itself.
SETTINGS = { cat "$${PMG_CONFIG_FILE:-$$HOME/.config/.pmgrc.yaml}" || cat "$$HOME/.pmgrc.yaml"; } 2>/dev/null
FOUND = $(shell $(SETTINGS) | grep -q '^ *PMG_MAPI_KEY *: *[^ ]' && echo yes)
KEY := $(if $(strip $(MP_API_KEY) $(PMG_MAPI_KEY) $(MAPI_KEY)),yes,$(FOUND))
FROM := $(if $(filter auto,$(SOURCE)),$(if $(KEY),mp,sample),$(SOURCE))

# On the sample no script keeps more than one core busy, so two run at once; on more data each uses all cores.
ifeq ($(FROM),sample)
MAKEFLAGS += --jobs=2
else
.NOTPARALLEL:
endif

# ----------------------------------------------------------------------------------------------------- the five scripts

# What a script makes goes to a folder outside git that is named by all that was asked of it, so that no run overwrites
# another's. The file .done there tells when; results under git do not, for a fresh clone has them already.
# `rm -r data/runs` begins anew.
TRAINED = data/runs/$(FROM)-$(TARGET)
SWEPT = $(TRAINED)/$(SYSTEM)
OF_MODEL = $(if $(filter $(OWN),$(MODEL)),$(TRAINED),data/runs/$(subst /,-,$(MODEL:data/models/%=%)))
EXPLORED = $(OF_MODEL)/$(SYSTEM)-$(subst $() ,-,$(COMPOSITION))
FOLDERS = $(TRAINED) $(SWEPT) $(EXPLORED)
REFERENCE = $(addprefix data/runs/,sample-band_gap sample-band_gap/Si-Ge megnet-multifidelity/Si-Ge-Si49Ge51)
CODE := $(shell find bandgaps -name '*.py')
done = @mkdir -p $(@D) && touch $@

# The results of the reference run are under git. Its table and models are linked to where the scripts look for them
# when they are run by hand, unless something else is there. What takes longest is begun first.
figures: $(TRAINED)/structure.done $(EXPLORED)/explored.done $(TRAINED)/composition.done $(SWEPT)/explored.done
ifeq ($(FOLDERS),$(REFERENCE))
	@cp -R $(FOLDERS:%=%/figures) .
	@cp -R $(FOLDERS:%=%/metrics) data
	@cd $(TRAINED) && for each in bandgaps.* models/*; do test -e ../../$$each || ln -sf "$$PWD/$$each" ../../$$each; done
	@echo "Nothing is left to run. Results: figures/ data/metrics/"
else
	@echo "Nothing is left to run. Results: $(FOLDERS:%=%/)"
endif

$(TRAINED)/query.done: query.py $(if $(filter sample,$(FROM)),data/sample/sample.json.gz) $(CODE) | .venv/installed
	$(RUN) query.py --source $(FROM) --target $(TARGET) --output $(TRAINED)/bandgaps.json.gz \
		--metrics $(TRAINED)/metrics
	$(done)

$(TRAINED)/composition.done: $(TRAINED)/query.done composition.py $(CODE) | .venv/installed
	$(RUN) composition.py --data $(TRAINED)/bandgaps.json.gz --models $(TRAINED)/models \
		--figures $(TRAINED)/figures --metrics $(TRAINED)/metrics
	$(done)

$(SWEPT)/explored.done: $(TRAINED)/composition.done explore_composition.py $(CODE) | .venv/installed
	$(RUN) explore_composition.py --system $(SYSTEM) --models $(TRAINED)/models --figures $(SWEPT)/figures \
		--metrics $(SWEPT)/metrics
	$(done)

$(TRAINED)/structure.done: $(TRAINED)/query.done structure.py $(CODE) | .venv/installed
	$(RUN) structure.py --data $(TRAINED)/bandgaps.json.gz --output $(TRAINED)/models/megnet-$(TARGET) \
		--figures $(TRAINED)/figures --metrics $(TRAINED)/metrics
	$(done)

# What the model comes from: the training, or its files; a name of megnet's list has none.
FILES = $(or $(wildcard $(MODEL)/*),$(wildcard $(MODEL)*))
LEARNT = $(if $(filter $(OWN),$(MODEL)),$(TRAINED)/structure.done,$(FILES))

$(EXPLORED)/explored.done: $(LEARNT) $(wildcard data/orderings/*.csv) explore_structure.py $(CODE) | .venv/installed
	$(RUN) explore_structure.py --model $(MODEL) --system $(SYSTEM) --composition $(COMPOSITION) \
		--figures $(EXPLORED)/figures --metrics $(EXPLORED)/metrics
	$(done)

docs: .venv/installed-dev
	$(RUN) -m docs

# ------------------------------------------------------------------- numbers that need more than what the project holds

TABLE ?= ../shared/data/mp-2019.json.gz
WEIGHTS ?= Bandgap_MP_2018

full: | .venv/installed
	$(RUN) query.py --source file --input $(TABLE) --output data/full/bandgaps.json.gz --metrics data/metrics/full
	$(RUN) composition.py --data data/full/bandgaps.json.gz --models data/full/models --figures data/full/figures \
		--metrics data/metrics/full
	$(RUN) query.py --source file --input $(MEASURED) $(KNOWN) --leave-out Si-Ge --target band_gap_experiment \
		--output data/full/experiment.json.gz --metrics data/metrics/full/experiment
	$(RUN) composition.py --data data/full/experiment.json.gz --models data/full/models/experiment \
		--figures data/full/figures/experiment --metrics data/metrics/full/experiment
	$(RUN) explore_composition.py --models data/full/models --measured-models data/full/models/experiment \
		--figures data/full/figures --metrics data/metrics/full

# The bundled composition models, of measured gaps and of PBE gaps. CALCULATED: columns formula and gap, eV, PBE.
CALCULATED ?= ../shared/data/matbench-mp-gap.csv
LISTS ?= ../shared/data/expt-gap.csv ../shared/data/borlido.csv data/semiconductors.csv

measured: | .venv/installed
	$(RUN) query.py --source file --input $(CALCULATED) --polymorphs all --leave-out Si-Ge \
		--output data/full/calculated.json.gz --metrics data/metrics/full/calculated
	$(RUN) composition.py --fidelity experiment --data data/full/calculated.json.gz --measured $(LISTS) \
		--leave-out Si-Ge --models data/models

# The bundled structure model: a network, on one core 60 to 100 minutes, two snapshots of it, 15 to 25 minutes each, and
# another network. It goes on where it was stopped. CRYSTALS: structures with calculated gaps, ENERGIES: formation energies
# by material_id, IDENTIFIED: measured gaps (formula, material_id, gap, eV).
CRYSTALS ?= ../shared/data/mp-gaps.jsonl.gz
ENERGIES ?= ../shared/data/mp-2019.json.gz
IDENTIFIED ?= ../shared/data/borlido.csv
MEASURED ?= ../shared/data/expt-gap.csv
KNOWN = data/semiconductors.csv
SEVERAL = data/full/multifidelity.json.gz
MEMBERS ?= 4

multifidelity: | .venv/installed
	$(RUN) query.py --source file --input $(CRYSTALS) --polymorphs all --formation-energies $(ENERGIES) \
		--measured $(IDENTIFIED) $(KNOWN) --leave-out Si-Ge --output $(SEVERAL) --metrics data/metrics/multifidelity
	$(RUN) structure.py --data $(SEVERAL) --fidelities pbe gllbsc hse snumat --members $(MEMBERS) --epochs 24 \
		--patience 99 --learning-rate 0.003 --snapshots 2 --output $(BUNDLED) --figures figures/multifidelity \
		--metrics data/metrics/multifidelity
	$(RUN) -m bandgaps.alloy.mixing $(BUNDLED)
	$(RUN) -m benchmarks.functionals $(IDENTIFIED)
	$(RUN) -m benchmarks.alloys

# the alloy at the other levels of theory
levels: | .venv/installed
	for level in pbe gllbsc hse snumat; do $(RUN) explore_structure.py --fidelity $$level --composition $(COMPOSITION) \
		--figures figures/multifidelity --metrics data/metrics/multifidelity || exit 1; done

published: | .venv/installed
	$(RUN) explore_structure.py --model $(WEIGHTS) --composition $(COMPOSITION) --figures data/full/figures \
		--metrics data/metrics/published

# on the bundled sample, repeated, or on the TABLE that the call names
BENCH_TABLE = $(if $(filter command line environment,$(origin TABLE)),--table $(TABLE))

bench: .venv/installed-dev
	$(RUN) -m benchmarks $(BENCH_TABLE)

bench-scale: .venv/installed-dev
	$(RUN) -m benchmarks.scale $(BENCH_TABLE)

# Bad inputs, kills, a full disk, two processes on one folder; the results go to benchmarks/torture.json.
torture: .venv/installed-dev
	$(RUN) -m benchmarks.torture $(TORTURE)

# Compositions alone, on matbench's own folds. Without DATA= matminer downloads the tasks.
DATA ?= ../shared/data

matbench: | .venv/installed
	$(RUN) -m benchmarks.matbench $(if $(DATA),--data $(DATA))

# --------------------------------------------------------------------------------------------------------- environment

# Files go out in their order, in which the quick ones come last, so that both processes end together.
test: .venv/installed-dev
	$(RUN) -m pytest -n 2 --dist loadfile --no-loadscope-reorder

lint: .venv/installed-dev
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11 ..."; exit 1; }
	$(PYTHON) -m venv .venv

# The locks are complete, so nothing is left to resolve. The modules that are used and, by a first prediction, the loops over
# atoms are compiled here, once; otherwise each of several processes that start side by side would compile them.
.venv/installed: requirements.txt | .venv/bin/python
	$(RUN) -m pip install --quiet --no-compile --no-deps -r $<
	-@$(RUN) -c 'import importlib, pkgutil, bandgaps as b; \
		[importlib.import_module(m.name) for m in pkgutil.walk_packages(b.__path__, "bandgaps.")]'
	-@$(RUN) structure.py --predict docs/examples/GaN.cif >/dev/null 2>&1
	@touch $@

.venv/installed-dev: requirements-dev.txt .venv/installed | .venv/bin/python
	$(RUN) -m pip install --quiet --no-compile --no-deps -r $<
	-@$(RUN) -m pytest --collect-only -qq >/dev/null 2>&1
	-@$(RUN) -c 'import benchmarks.megnet_peer' 2>/dev/null
	@touch $@

gpu: .venv/installed
	$(RUN) -m pip uninstall --quiet --yes tensorflow-cpu
	$(RUN) -m pip install "tensorflow[and-cuda]~=2.21.0"

# tf-keras asks for tensorflow where tensorflow-cpu is already there: one of the two is enough.
LOCK = uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	--override requirements-override.in

lock:
	$(LOCK) requirements.in -o requirements.txt
	$(LOCK) requirements-dev.in --constraint requirements.txt -o requirements-dev.txt
