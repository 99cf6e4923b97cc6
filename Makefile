# Makefile - builds, tests and installs PinSage. `make help` lists what it can do.
#
# One file, not recursive. Sources are found by wildcard, so a new file needs no
# line here. Objects, programs and generated files live under build/ alone; a
# sanitizer build has a directory of its own, build/san-..., beside the plain one.

# ------------------------------- Knobs ------------------------------------------

ifeq ($(origin CC),default)
CC := gcc#             compiler: gcc or clang
endif
SAN :=#                address, undefined, thread, or address,undefined
V :=#                  1 prints every command in full
WERROR :=#             1 makes warnings errors
FAISS := auto#         auto or plain: our own build (make deps); system: Debian's own
PREFIX := /usr/local
DESTDIR :=
BASE := auto#          make image: Debian to build on; local makes one here
T :=#                  make check T=walk runs the tests whose path contains "walk"
TIMEOUT := 900#        seconds one test program may take
SECONDS := 60#         make fuzz gives each target this long
VERSION := 0.1.0

# ------------------------------- Flags ------------------------------------------

comma := ,
empty :=
space := $(empty) $(empty)
B := $(if $(strip $(SAN)),build/san-$(subst $(comma),-,$(strip $(SAN))),build)
Q := $(if $(filter 1,$(V)),,@)
say = $(if $(filter 1,$(V)),,@printf '  %-6s %s\n' '$(1)' '$(2)';)

# $(call accepts,FLAG): the flag itself when this compiler knows it.
accepts = $(shell echo 'int x;' | $(CC) -Werror $(1) -x c -c -o /dev/null - 2>/dev/null \
            && echo '$(1)')

WARN := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes $(if $(WERROR),-Werror)
HARD := -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -fstack-protector-strong \
        $(call accepts,-fstack-clash-protection) $(call accepts,-fcf-protection=full) \
        $(call accepts,-ftrivial-auto-var-init=zero)
HARD_LINK := -pie -Wl,-z,relro,-z,now,-z,noexecstack,--as-needed

# The compiler may neither reorder sums (so never -Ofast) nor fuse a product into one:
# gcc and clang then round alike. A kernel that wants fused operations says so itself.
OPT := -O2 -g -ffp-contract=off $(call accepts,-fvect-cost-model=dynamic)
ifneq ($(strip $(SAN)),)
# Fortify and zeroed locals would hide what the sanitizers look for.
OPT := -O1 -g -ffp-contract=off
HARD := -fsanitize=$(strip $(SAN)) -fno-sanitize-recover=all -fno-omit-frame-pointer
HARD_LINK := -pie -fsanitize=$(strip $(SAN))
endif

describe := $(shell git describe --tags --always --dirty 2>/dev/null)
ps_version := $(VERSION)$(if $(describe),+$(describe))

faiss_dir := $(shell deploy/setup/faiss.sh --find $(FAISS) 2>/dev/null)
faiss_cpp := $(if $(findstring /,$(faiss_dir)),-isystem $(faiss_dir)/include)
faiss_cpp += $(if $(filter %-avx2,$(faiss_dir)),-DPS_FAISS_AVX2=1)
faiss_lib := $(if $(filter %-avx2,$(faiss_dir)),-lfaiss_avx2,-lfaiss)
FAISS_LINK := $(if $(faiss_dir),$(if $(findstring /,$(faiss_dir)),-L$(faiss_dir)/lib) \
              -lfaiss_c $(faiss_lib) -lopenblas -lgomp -lstdc++)

CPPFLAGS_ALL := -Iinclude -I. -I$(B)/proto -D_GNU_SOURCE $(faiss_cpp) $(CPPFLAGS)
CFLAGS_ALL := -std=c11 $(OPT) -ffile-prefix-map=$(CURDIR)/= -fPIE $(WARN) $(HARD) -pthread $(CFLAGS)
LDFLAGS_ALL := $(HARD_LINK) -pthread $(LDFLAGS)
LIBS := -lmicrohttpd -lgnutls -lseccomp -ljansson -lprotobuf-c -luv -llmdb -lxxhash -lz -lutf8proc $(FAISS_LINK) -lopenblas -lm

# ------------------------------- Sources ----------------------------------------

lib_c := $(wildcard core/*/*.c index/*.c server/*/*.c)
lib_o := $(lib_c:%.c=$(B)/%.o)
lib := $(B)/libpinsage.a
main := $(if $(wildcard server/main.c),$(B)/pinsage)
demo_o := $(patsubst %.c,$(B)/%.o,$(wildcard deploy/demo/*.c))
demo := $(if $(demo_o),$(B)/demo/openclipart)

tests_c := $(sort $(shell find tests -name 'test_*.c' 2>/dev/null))
support_o := $(patsubst %.c,$(B)/%.o,$(wildcard tests/support/*.c))
tests := $(tests_c:%.c=$(B)/%)
fuzzers := $(patsubst %.c,$(B)/%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
benches := $(patsubst tests/bench/%.c,$(B)/bench/%,$(wildcard tests/bench/bench_*.c))
e2e := $(sort $(wildcard tests/e2e/*.sh tests/e2e/*.py tests/e2e/*.mjs))
styles := $(sort $(wildcard tests/style/*.sh))

pages := $(sort $(wildcard server/web/*))
# Messages that become C; include/google/api is for other readers of the service.
protos := pinsage/v1/pinsage grpc/health/v1/health
proto_o := $(protos:%=$(B)/proto/%.pb-c.o)
proto_h := $(protos:%=$(B)/proto/%.pb-c.h)
formatted := $(shell find core index server include tests deploy -name '*.[ch]' 2>/dev/null)

# ------------------------------- Targets ----------------------------------------

.DELETE_ON_ERROR:
.SUFFIXES:
.PHONY: all lib tests check check-built style fmt fuzz fuzz-built bench demo demo-built image check-image man install clean deps help FORCE
.SECONDARY:

all: $(lib) $(main)

lib: $(lib)

tests: $(tests)

# What these two need, they fetch: a bare clone is enough. The second make looks at
# the machine afresh, after the packages have come.
check demo: deps
	$(Q)$(MAKE) --no-print-directory \
	    $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(shell nproc)) $@-built

# $(call picked,FILES): those T= names, or all.
picked = $(if $(T),$(foreach f,$(1),$(if $(findstring $(T),$(f)),$(f))),$(1))

check-built: all $(call picked,$(tests) $(fuzzers)) $(demo)
	$(Q)$(call run_tests,$(styles) $(tests) $(fuzzers) $(e2e))

style:
	$(Q)$(call run_tests,$(styles))

run_tests = PINSAGE=$(B)/pinsage BUILD=$(B) CC='$(CC)' PS_SAN='$(SAN)' \
            tests/run --timeout $(TIMEOUT) --filter '$(T)' $(1)

fmt:
	$(Q)clang-format -i $(formatted)

# Everything built by clang for libFuzzer, in a build directory of its own. New inputs
# are kept there, in corpus/; one that breaks something lies beside it.
fuzz:
	$(Q)deploy/setup/have.sh fuzz
	$(Q)$(MAKE) --no-print-directory CC=clang SAN=fuzzer-no-link,address,undefined fuzz-built

fuzz-built: $(call picked,$(fuzzers))
	$(Q)tests/fuzz/run.sh $(SECONDS) $(B)/fuzz $^

bench: $(call picked,$(benches))
	$(Q)for b in $^; do echo "== $$b"; $$b || exit 1; done

demo-built: all $(demo)
	$(Q)PINSAGE=$(B)/pinsage BUILD=$(B) ONCE='$(ONCE)' deploy/demo/demo.sh

deps:
	$(Q)deploy/setup/deps.sh $(if $(filter system,$(FAISS)),build faiss-system test demo)
	$(Q)deploy/setup/faiss.sh $(FAISS)

check-image: all
	$(Q)$(call run_tests,tests/image/image.py tests/image/systemd.py)

image:
	$(Q)BUILD=$(B) FAISS=$(FAISS) VERSION=$(VERSION) BASE=$(BASE) deploy/image/image.sh

man: all
	$(call say,MAN,$(B)/man)deploy/man/man.sh $(B)/pinsage $(B)/man

share := $(DESTDIR)$(PREFIX)/share
install: man
	install -D -m 0755 $(B)/pinsage $(DESTDIR)$(PREFIX)/bin/pinsage
	install -d $(share)/man/man1 $(share)/bash-completion/completions $(share)/pinsage \
	    $(share)/zsh/site-functions $(share)/fish/vendor_completions.d \
	    $(DESTDIR)$(PREFIX)/lib/systemd/system
	install -m 0644 $(B)/man/*.1 $(share)/man/man1
	$(B)/pinsage completion bash > $(share)/bash-completion/completions/pinsage
	$(B)/pinsage completion zsh > $(share)/zsh/site-functions/_pinsage
	$(B)/pinsage completion fish > $(share)/fish/vendor_completions.d/pinsage.fish
	$(B)/pinsage config-schema > $(share)/pinsage/config.schema.json
	$(Q)for unit in $(notdir $(wildcard deploy/systemd/*.service deploy/systemd/*.socket \
	        deploy/systemd/*.timer)); do \
	    sed 's|/usr/local/bin|$(PREFIX)/bin|' deploy/systemd/$$unit \
	        > $(DESTDIR)$(PREFIX)/lib/systemd/system/$$unit || exit 1; done
	install -D -m 0644 deploy/systemd/pinsage.sysusers \
	    $(DESTDIR)$(PREFIX)/lib/sysusers.d/pinsage.conf

clean:
	rm -rf build

help:
	@echo 'make            build build/pinsage (and build/libpinsage.a)'
	@echo 'make deps       install the Debian packages and build FAISS, once'
	@echo 'make check      build and run every test; T=walk runs those named so'
	@echo 'make style      the style checks alone: layers, fences, sizes, format'
	@echo 'make fmt        format all C files in place'
	@echo 'make fuzz       look for bytes that break a parser; T=npy SECONDS=60'
	@echo 'make bench      the measurements of tests/bench; T=walk as above'
	@echo 'make demo       pictures, training, evaluation, server; ONCE=1 stops after'
	@echo 'make image      container image, by docker or buildah; BASE=auto|local|NAME'
	@echo 'make check-image  the image and the systemd units really run, by podman: minutes'
	@echo 'make man        manual pages from the help texts, into build/man'
	@echo 'make install    into $$DESTDIR$$PREFIX; PREFIX=/usr/local'
	@echo 'make clean      remove build/'
	@echo
	@echo 'CC=gcc|clang    compiler              V=1       show full commands'
	@echo 'SAN=address|undefined|thread|address,undefined   in build/san-...'
	@echo 'WERROR=1        warnings are errors   FAISS=auto|plain|system'
	@echo 'TIMEOUT=900     seconds a test program may take'

# ------------------------------- Rules ------------------------------------------

# What the machine must have, tested once in words instead of by compiler errors.
$(B)/have.build: deploy/setup/have.sh deploy/setup/packages.txt
	@mkdir -p $(@D)
	@CC='$(CC)' FAISS_CPP='$(faiss_cpp)' FAISS_DIR='$(faiss_dir)' FAISS='$(FAISS)' \
	    deploy/setup/have.sh build && touch $@

$(B)/have.%: $(B)/have.build
	@CC='$(CC)' deploy/setup/have.sh $* && touch $@

# Rewritten only when the text changes, so that a new flag rebuilds and an old one
# does not. A commit changes the version, which only its few users must notice.
$(B)/flags.txt: FORCE | $(B)/have.build
	@echo '$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) $(LDFLAGS_ALL) $(LIBS)' > $@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@

$(B)/version.txt: FORCE | $(B)/have.build
	@echo '$(ps_version)' > $@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@

versioned := $(shell grep -l PS_VERSION $(lib_c) $(wildcard server/main.c) /dev/null)
$(versioned:%.c=$(B)/%.o): $(B)/version.txt
$(versioned:%.c=$(B)/%.o): CPPFLAGS_ALL += -DPS_VERSION='"$(ps_version)"'

$(B)/%.o: %.c $(B)/flags.txt | $(B)/have.build
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

# The list of members is part of the recipe: a removed source leaves the archive.
$(lib): $(lib_o) $(B)/web/assets.o $(proto_o)
	$(call say,AR,$@)rm -f $@ && ar rcs $@ $^

$(B)/pinsage: $(B)/server/main.o $(lib)
	$(call say,LINK,$@)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS)

# A test may ask for linker flags of its own with a line ` * Link: FLAGS` in its
# head comment, for instance -Wl,--wrap=fsync to make the Nth fsync fail.
$(tests): $(B)/%: $(B)/%.o $(support_o) $(lib) | $(B)/have.test
	$(call say,LINK,$@)$(CC) $(LDFLAGS_ALL) -o $@ $(filter %.o,$^) \
	    $$(sed -n 's/^ \* Link: //p' $*.c) $(lib) -lcmocka $(LIBS)

# With libFuzzer's main in a build for it, with that of replay.c in any other.
fuzz_main := $(if $(findstring fuzzer,$(SAN)),,$(B)/tests/fuzz/replay.o)
$(fuzzers): $(B)/%: $(B)/%.o $(B)/tests/fuzz/fuzz.o $(fuzz_main) $(support_o) $(lib) | $(B)/have.test
	$(call say,LINK,$@)$(CC) $(LDFLAGS_ALL) $(if $(fuzz_main),,-fsanitize=fuzzer) -o $@ \
	    $(filter %.o,$^) $(lib) -lcmocka $(LIBS)

$(B)/bench/%: $(B)/tests/bench/%.o $(B)/tests/bench/site.o $(lib)
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS)

demo_pkgs := librsvg-2.0 cairo libxml-2.0
demo_cpp = $(shell pkg-config --cflags $(demo_pkgs) 2>/dev/null | sed 's/-I/-isystem /g')
$(demo_o): CPPFLAGS_ALL += $(demo_cpp)
$(demo_o): | $(B)/have.demo
$(B)/demo/openclipart: $(demo_o)
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(CC) $(LDFLAGS_ALL) -o $@ $^ \
	    $$(pkg-config --libs $(demo_pkgs)) -lm

# The service's messages as C. Annotations are left out: they are for REST, and would
# bring the descriptors of protobuf itself.
$(B)/proto/%.pb-c.c $(B)/proto/%.pb-c.h &: include/%.proto | $(B)/have.build
	@mkdir -p $(@D) $(B)/proto-in/$(*D)
	$(call say,PROTO,$<)sed -e '/"google\/api\//d' \
	    -e '/(google\.api\.http)/{:a' -e '/;$$/!{N;ba' -e '}' -e 'd' -e '}' $< \
	    > $(B)/proto-in/$*.proto && \
	protoc-c -I$(B)/proto-in --c_out=$(B)/proto $*.proto

$(proto_o): %.o: %.c $(B)/flags.txt
	$(call say,CC,$<)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -w -MMD -MP -c -o $@ $<

# Whoever includes them must wait until they are there.
$(filter $(B)/server/api/body%,$(lib_o)) $(addprefix $(B)/tests/,server/api/test_body.o \
    server/api/test_answer.o server/routes/test_openapi.o bench/bench_answer.o): | $(proto_h)

# Pages of the explorer, gzipped into the program: see server/base/assets.h.
$(B)/web/assets.c: deploy/setup/embed.sh $(pages) $(B)/web/pages.txt
	$(call say,EMBED,server/web)deploy/setup/embed.sh $(B)/web $(pages)

$(B)/web/pages.txt: FORCE
	@mkdir -p $(@D)
	@echo '$(pages)' > $@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@

$(B)/web/assets.o: $(B)/web/assets.c $(B)/flags.txt
	$(call say,CC,$<)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

objects := $(lib_o) $(B)/server/main.o $(B)/web/assets.o $(proto_o) $(tests:=.o) $(support_o) \
           $(fuzzers:=.o) $(B)/tests/fuzz/fuzz.o $(B)/tests/fuzz/replay.o \
           $(benches:$(B)/bench/%=$(B)/tests/bench/%.o) $(demo_o)
-include $(objects:.o=.d)
