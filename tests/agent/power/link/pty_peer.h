// The other end of a serial line: a thread that answers what is written to a pseudo terminal.
//
// Threads: the answer runs on the peer's thread; the rest from the test's. Ownership: closes its
// ends and joins its thread in its destructor.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <sys/eventfd.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace joulefarm::agent {

struct PeerReply {
  std::vector<std::uint8_t> bytes;
  bool then_hang_up = false;
};

class PtyPeer {
 public:
  // Called with what has been written since its last answer; an empty one lets it add up.
  using Answer = std::function<PeerReply(const std::vector<std::uint8_t>& asked)>;

  explicit PtyPeer(Answer answer) : answer_(std::move(answer)), stop_(eventfd(0, EFD_CLOEXEC)) {
    std::array<char, 64> name{};
    EXPECT_EQ(openpty(&master_, &slave_, name.data(), nullptr, nullptr), 0);
    path_ = name.data();
    // Else what is sent before the line is raw would be echoed back to the peer.
    termios raw{};
    EXPECT_EQ(tcgetattr(slave_, &raw), 0);
    cfmakeraw(&raw);
    EXPECT_EQ(tcsetattr(slave_, TCSANOW, &raw), 0);
    thread_ = std::thread([this] { Run(); });
  }
  ~PtyPeer() {
    const std::uint64_t one = 1;
    EXPECT_EQ(write(stop_, &one, sizeof one), static_cast<ssize_t>(sizeof one));
    thread_.join();
    if (master_ >= 0) close(master_);
    close(slave_);
    close(stop_);
  }
  PtyPeer(const PtyPeer&) = delete;
  PtyPeer& operator=(const PtyPeer&) = delete;

  const std::string& path() const { return path_; }

 private:
  void Run() {
    std::vector<std::uint8_t> asked;
    while (true) {
      std::array<pollfd, 2> ready = {pollfd{master_, POLLIN, 0}, pollfd{stop_, POLLIN, 0}};
      if (poll(ready.data(), ready.size(), -1) < 0) return;
      if (ready[1].revents != 0) return;
      std::array<std::uint8_t, 4096> bytes{};
      const ssize_t got = read(master_, bytes.data(), bytes.size());
      if (got <= 0) return;
      asked.insert(asked.end(), bytes.begin(), bytes.begin() + got);
      const PeerReply reply = answer_(asked);
      if (!reply.bytes.empty() || reply.then_hang_up) asked.clear();
      if (!Send(reply.bytes)) return;
      if (reply.then_hang_up) {
        close(std::exchange(master_, -1));
        return;
      }
    }
  }
  // False: the test ends.
  bool Send(const std::vector<std::uint8_t>& bytes) {
    for (std::size_t at = 0; at < bytes.size();) {
      std::array<pollfd, 2> ready = {pollfd{master_, POLLOUT, 0}, pollfd{stop_, POLLIN, 0}};
      if (poll(ready.data(), ready.size(), -1) < 0 || ready[1].revents != 0) return false;
      // Few at a time: a pseudo terminal says that it is ready when it takes one byte.
      constexpr std::size_t kPiece = 256;
      const ssize_t sent = write(master_, bytes.data() + at, std::min(kPiece, bytes.size() - at));
      if (sent <= 0) return false;
      at += static_cast<std::size_t>(sent);
    }
    return true;
  }

  const Answer answer_;
  const int stop_;
  int master_ = -1;
  int slave_ = -1;
  std::string path_;
  std::thread thread_;
};

}  // namespace joulefarm::agent
