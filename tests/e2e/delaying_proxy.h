// A TCP proxy between two programs that lets all through, each direction later by a time of its
// own: a network whose two ways are not alike.
//
// Thread rule: the test's thread; the proxy has threads of its own. Ownership: owns its sockets and
// threads.
#pragma once

#include <chrono>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace joulefarm::e2e {

struct Delays {
  // At least so long; zero: as soon as it can.
  std::chrono::nanoseconds to_client{0};
  std::chrono::nanoseconds to_server{0};
};

class DelayingProxy {
 public:
  // In front of HOST:PORT, on a free port of its own.
  DelayingProxy(std::string target, const Delays& delays);
  ~DelayingProxy();
  DelayingProxy(const DelayingProxy&) = delete;
  DelayingProxy& operator=(const DelayingProxy&) = delete;

  const std::string& address() const { return address_; }

 private:
  struct Way;
  void Accept();
  void Carry(int client, int server);

  const std::string target_;
  const Delays delays_;
  std::string address_;
  int listener_ = -1;
  std::mutex mutex_;
  bool stopping_ = false;                     // guarded by mutex_
  std::vector<std::pair<int, int>> sockets_;  // guarded by mutex_; open until the end
  std::vector<std::thread> carriers_;         // guarded by mutex_
  std::thread acceptor_;
};

}  // namespace joulefarm::e2e
