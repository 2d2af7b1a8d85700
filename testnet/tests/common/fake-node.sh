#!/bin/sh
# Stands in for `logothete node run --home HOME [--exit-on-stdin-eof]`: the test
# program beside it, told by its environment to play a node.
here=$(dirname "$0")
if [ -e "$here/fails-$(basename "$4")" ]; then
    echo "cannot listen: the address is in use" >&2
    exit 1
fi
if [ -e "$here/stubborn" ]; then
    trap '' TERM
fi
FAKE_NODE_HOME=$4 FAKE_NODE_FLAG=${5:-} exec "$here/tests" --exact play_a_node --nocapture
