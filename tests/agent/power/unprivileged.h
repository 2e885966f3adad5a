// Makes file modes count for a test that runs as root.
//
// Threads: one (the ids are the process's). Ownership: gives the rights back at its end.
#pragma once

#include <unistd.h>

#include <tuple>

namespace joulefarm::agent {

class Unprivileged {
 public:
  Unprivileged() : own_(geteuid()), works_(own_ != 0 || seteuid(kNobody) == 0) {}
  ~Unprivileged() {
    if (geteuid() != own_) std::ignore = seteuid(own_);
  }
  Unprivileged(const Unprivileged&) = delete;
  Unprivileged& operator=(const Unprivileged&) = delete;

  // False where even root may not change its user.
  bool works() const { return works_; }

 private:
  static constexpr uid_t kNobody = 65534;
  const uid_t own_;
  const bool works_;
};

}  // namespace joulefarm::agent
