// A file system that is easily full: a tmpfs of a given size. Only root can mount one.
//
// Thread rule: one thread. Ownership: unmounts what it mounted.
#pragma once

#include <sys/mount.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/agent/temp_dir.h"

namespace joulefarm::agent {

class SmallDisk {
 public:
  explicit SmallDisk(int kib) {
    mounted_ = mount("tmpfs", dir_.path().c_str(), "tmpfs", 0,
                     absl::StrCat("size=", kib, "k").c_str()) == 0;
  }
  ~SmallDisk() {
    if (mounted_) umount2(dir_.path().c_str(), MNT_DETACH);
  }
  bool mounted() const { return mounted_; }
  const std::filesystem::path& path() const { return dir_.path(); }

  // Takes all the room there is.
  void Fill() {
    std::ofstream file(path() / "ballast", std::ios::app | std::ios::binary);
    const std::string block(4096, 'x');
    while (file.write(block.data(), static_cast<std::streamsize>(block.size())).flush()) {
    }
  }
  void Empty() { std::filesystem::remove(path() / "ballast"); }

 private:
  TempDir dir_;
  bool mounted_ = false;
};

}  // namespace joulefarm::agent
