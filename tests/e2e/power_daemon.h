// A power analyser behind SPEC's PTDaemon, played on loopback: it measures what a function says,
// for one client after the other. Twenty samples a second, where a real one gives one, so that
// tests do not wait.
//
// Threads: one for the test, one that serves and calls the function. Ownership: owns its sockets;
// the destructor hangs up and joins.
#pragma once

#include <array>
#include <functional>
#include <string>
#include <thread>

namespace joulefarm::e2e {

class PowerDaemon {
 public:
  explicit PowerDaemon(std::function<double()> watts);
  ~PowerDaemon();
  PowerDaemon(const PowerDaemon&) = delete;
  PowerDaemon& operator=(const PowerDaemon&) = delete;

  // HOST:PORT.
  const std::string& address() const { return address_; }

 private:
  // False: it is time to end.
  bool AwaitInput(int fd) const;
  void Run() const;
  void Serve(int fd) const;

  const std::function<double()> watts_;
  const int listen_;
  std::array<int, 2> stop_{-1, -1};
  std::string address_;
  std::thread thread_;
};

}  // namespace joulefarm::e2e
