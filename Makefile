# make figures   run the five scripts in order, redoing only what changed; MP_API_KEY=... for the Materials Project
# make test      the tests;  make lint   style and types;  make lock   write the lock files anew (needs uv)
# make bench     every part against the peer it replaces;  make bench-scale   how cost grows with the table
# make full TABLE=table.json.gz MEASURED=gaps.csv   the composition model on full tables, for the numbers in DISCUSSION.md
# make multifidelity TABLE=... MEASURED=...          train the bundled structure model anew, in hours
# Each target sets up .venv by itself; all it takes is Python 3.11+ and make.

PYTHON ?= python3
SOURCE ?= auto
TARGET ?= band_gap
SYSTEM ?= Si-Ge
COMPOSITION ?= Si49Ge51

RUN = .venv/bin/python
DATA = data/bandgaps.json.gz
FOREST = data/models/composition-combined/model.json
MEGNET = data/models/megnet-$(TARGET)
BUNDLED = data/models/megnet-multifidelity
# what is asked about the alloy: the bundled model knows gaps; another property takes the one just trained
MODEL ?= $(if $(filter band_gap,$(TARGET)),$(BUNDLED),$(MEGNET))
ALLOY = $(subst -,,$(SYSTEM))
SWEEP = figures/$(ALLOY)-composition-non-metals.csv
ORDERINGS = figures/$(ALLOY)-disordered-structures-scaled-means.csv

# The two branches of the pipeline do not need each other.
MAKEFLAGS += --jobs=2

.PHONY: figures test lint bench bench-scale lock full multifidelity levels published report gpu FORCE
.DELETE_ON_ERROR:

figures: $(SWEEP) $(MEGNET)/model.json $(ORDERINGS) report

# ---------------------------------------------------------------------------------------------------- the five scripts

# What the table is asked for: a change of source, of target or of there being a key makes a new one.
data/.asked: FORCE
	@mkdir -p data
	@echo "$(SOURCE) $(TARGET) $(if $(MP_API_KEY),with a key,without a key)" > $@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@

$(DATA): data/.asked data/sample/sample.json.gz query.py bandgaps/sources.py bandgaps/dataset.py | .venv/installed
	$(RUN) query.py --source $(SOURCE) --target $(TARGET) --output $@
	@mkdir -p data/metrics && cp data/bandgaps.meta.json data/metrics/table.json

$(FOREST): $(DATA) composition.py bandgaps/forest.py bandgaps/learning.py bandgaps/magpie.py | .venv/installed
	$(RUN) composition.py --data $(DATA)

$(SWEEP): $(FOREST) explore_composition.py bandgaps/figures.py | .venv/installed
	$(RUN) explore_composition.py --system $(SYSTEM)

$(MEGNET)/model.json: $(DATA) structure.py bandgaps/graphs.py bandgaps/kernels.py bandgaps/megnet.py bandgaps/training.py | .venv/installed
	$(RUN) structure.py --data $(DATA) --output $(MEGNET)

$(ORDERINGS): $(MODEL)/model.json explore_structure.py bandgaps/alloys.py bandgaps/bowing.py bandgaps/disorder.py bandgaps/figures.py data/orderings/SiGe.csv | .venv/installed
	$(RUN) explore_structure.py --model $(MODEL) --system $(SYSTEM) --composition $(COMPOSITION)

report: $(SWEEP) $(ORDERINGS)
	$(RUN) -m bandgaps.report

# ------------------------------------------------------------------- numbers that need more than what the project holds

TABLE ?= ../shared/data/mp-2019.json.gz
WEIGHTS ?= Bandgap_MP_2018

full: data/full/measured.csv | .venv/installed
	$(RUN) query.py --source file --input $(TABLE) --output data/full/bandgaps.json.gz
	@mkdir -p data/metrics/full/experiment && cp data/full/bandgaps.meta.json data/metrics/full/table.json
	$(RUN) composition.py --data data/full/bandgaps.json.gz --models data/full/models --figures data/full/figures \
		--metrics data/metrics/full
	$(RUN) query.py --source file --input $< --leave-out Si-Ge --target band_gap_experiment \
		--output data/full/experiment.json.gz
	@cp data/full/experiment.meta.json data/metrics/full/experiment/table.json
	$(RUN) composition.py --data data/full/experiment.json.gz --models data/full/models/experiment \
		--figures data/full/figures/experiment --metrics data/metrics/full/experiment
	$(RUN) explore_composition.py --models data/full/models --figures figures/full --metrics data/metrics/full

# The bundled structure model; hours on a laptop. MEASURED: columns formula and gap, eV, measured.
MEASURED ?= ../shared/data/expt-gap.csv
KNOWN = data/semiconductors.csv
ALLOYS = data/alloys/gaps.csv
SEVERAL = data/full/multifidelity.json.gz

# what is known of a formula with certainty counts instead of what the long list says
data/full/measured.csv: $(MEASURED) $(KNOWN)
	@mkdir -p data/full
	(awk -F, 'NR == FNR {if (FNR > 1) known[$$2]; next} !($$1 in known)' $(KNOWN) $(MEASURED); tail -n +2 $(KNOWN) | cut -d, -f2,3) > $@

multifidelity: | .venv/installed
	$(RUN) query.py --source file --input $(TABLE) --polymorphs all --measured $(MEASURED) $(KNOWN) $(ALLOYS) \
		--estimate --alloys --leave-out Si-Ge --output $(SEVERAL)
	@mkdir -p data/metrics/multifidelity && cp data/full/multifidelity.meta.json data/metrics/multifidelity/table.json
	$(RUN) structure.py --data $(SEVERAL) --fidelities pbe gllbsc hse experiment --members 8 --jobs 2 --epochs 42 \
		--patience 42 --learning-rate 0.003 --cutoff 4.3 --output $(BUNDLED) --figures figures/multifidelity \
		--metrics data/metrics/multifidelity
	$(RUN) -m bandgaps.alloy.bowing $(BUNDLED) --table $(SEVERAL) --measured $(MEASURED) $(KNOWN) $(ALLOYS)
	$(RUN) -m benchmarks.disorder

# the alloy at the other levels of theory, and at that of experiment as the network has it
levels: | .venv/installed
	$(RUN) explore_structure.py --uncorrected --composition $(COMPOSITION) --figures data/full/figures \
		--metrics data/metrics/multifidelity
	for level in pbe gllbsc hse; do $(RUN) explore_structure.py --fidelity $$level --composition $(COMPOSITION) \
		--figures figures/multifidelity --metrics data/metrics/multifidelity || exit 1; done

published: | .venv/installed
	$(RUN) explore_structure.py --model $(WEIGHTS) --composition $(COMPOSITION) --figures data/full/figures \
		--metrics data/metrics/published

bench: .venv/installed-dev
	$(RUN) -m benchmarks

bench-scale: .venv/installed-dev
	$(RUN) -m benchmarks.scale

# --------------------------------------------------------------------------------------------------------- environment

test: .venv/installed-dev
	$(RUN) -m pytest -n 2 --dist loadfile

lint: .venv/installed-dev
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11 ..."; exit 1; }
	$(PYTHON) -m venv .venv

# The locks are complete, so nothing is left to resolve; modules are compiled when first imported, few of them ever are.
.venv/installed: requirements.txt | .venv/bin/python
	$(RUN) -m pip install --quiet --no-compile --no-deps -r $<
	@touch $@

.venv/installed-dev: requirements-dev.txt .venv/installed | .venv/bin/python
	$(RUN) -m pip install --quiet --no-compile --no-deps -r $<
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
