// A TCP proxy between two programs that lets so many bytes through in one direction and then holds
// the rest back, so that a test can act in the middle of a transfer; and that counts.
//
// Thread rule: the test's thread; the proxy has threads of its own. Ownership: owns its sockets and
// threads.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace joulefarm::e2e {

class StallingProxy {
 public:
  // In front of HOST:PORT, on a free port of its own.
  explicit StallingProxy(const std::string& target);
  ~StallingProxy();
  StallingProxy(const StallingProxy&) = delete;
  StallingProxy& operator=(const StallingProxy&) = delete;

  const std::string& address() const { return address_; }

  enum class Direction { kToClient, kToServer };
  // From now on so many bytes more go this way; then nothing until LetGo.
  void HoldAfter(Direction direction, std::int64_t bytes);
  void LetGo();
  // Breaks the connections there are.
  void Cut();

  // Bytes that went through so far.
  std::int64_t to_client() const { return flows_[0].passed; }
  std::int64_t to_server() const { return flows_[1].passed; }

 private:
  struct Flow {
    std::atomic<std::int64_t> passed{0};
    std::int64_t hold_at = -1;  // guarded by mutex_; -1: never
  };
  void Accept();
  // Both sockets of one connection; reset, not closed politely, when both pumps are done, as the
  // kernel does with the connections of a program that was killed.
  struct Pair {
    int client = -1;
    int server = -1;
    ~Pair();
  };
  void Pump(const std::shared_ptr<Pair>& pair, bool to_client);
  std::int64_t Allowed(Flow& flow);

  std::string target_;
  std::string address_;
  int listener_ = -1;
  Flow flows_[2];
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::weak_ptr<Pair>> pairs_;  // guarded by mutex_
  bool stopping_ = false;                   // guarded by mutex_
  std::vector<std::thread> pumps_;          // guarded by mutex_
  std::thread acceptor_;
};

}  // namespace joulefarm::e2e
