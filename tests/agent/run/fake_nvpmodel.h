// A tool as a Jetson has it, in a host's tree: it keeps its mode in a file beside it and takes
// cores away or brings them up, with what the kernel shows of that. A core away has `online` 0 and
// a governor that can be neither read nor written; it comes back with the governor it had.
//
// Threads: one. Ownership: the tree outlives it.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/agent/host/host_tree.h"

namespace joulefarm::agent {

class FakeNvpmodel {
 public:
  // In mode 2; mode 7 does not take.
  explicit FakeNvpmodel(HostTree& tree) : tree_(tree) {
    tree_.Write("usr/sbin/mode", "2");
    tree_.Write("usr/sbin/nvpmodel", R"(#!/bin/sh
here=$(dirname "$0")
if [ "$1" != -m ]; then
  echo "NV Power Mode: MODE_$(cat "$here/mode")0W"
  cat "$here/mode"
  exit 0
fi
[ "$2" != 7 ] || exit 0
printf %s "$2" > "$here/mode"
echo "$2" >> "$here/modes"
for cpu in "$here"/../../sys/devices/system/cpu/cpu[0-9]*; do
  governor=$cpu/cpufreq/scaling_governor
  if [ -e "$here/away.$2.${cpu##*/}" ]; then
    [ -d "$governor" ] || { mv "$governor" "$cpu/kept" && mkdir "$governor"; }
    echo 0 > "$cpu/online"
  elif [ -d "$governor" ]; then
    rmdir "$governor" && mv "$cpu/kept" "$governor"
    echo 1 > "$cpu/online"
  fi
done
)");
    std::filesystem::permissions(tree_.root() / "usr/sbin/nvpmodel",
                                 std::filesystem::perms::owner_all);
  }

  // From the next change to `mode` on it is without that core.
  void TakeAway(int mode, int core) {
    tree_.Write(absl::StrCat("usr/sbin/away.", mode, ".cpu", core), "");
  }
  // As someone at the device does.
  void Set(int mode) const {
    const std::filesystem::path program = tree_.root() / "usr/sbin/nvpmodel";
    ASSERT_EQ(std::system(absl::StrCat("'", program.string(), "' -m ", mode).c_str()), 0);
  }
  std::string mode() const { return Text("usr/sbin/mode"); }
  // All that were set, a line each.
  std::string modes() const { return Text("usr/sbin/modes"); }

 private:
  std::string Text(const char* file) const {
    std::stringstream text;
    text << std::ifstream(tree_.root() / file).rdbuf();
    return text.str();
  }

  HostTree& tree_;
};

}  // namespace joulefarm::agent
