#!/bin/sh
# cargo's RUSTC_WORKSPACE_WRAPPER for `make fuzz`: a counter at each edge of the product's own crates.
case " $* " in
*" --crate-name tieline_tests "* | *" --crate-name tieline_coverage "*) exec "$@" ;;
esac
exec "$@" -C passes=sancov-module -C llvm-args=-sanitizer-coverage-level=3 \
    -C llvm-args=-sanitizer-coverage-inline-8bit-counters
