// A server on loopback that does with its connections, one after the other, what a test says, on a
// thread of its own.
//
// Threads: one for the test, one for the peer. Ownership: owns its sockets; the destructor hangs up
// and joins.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"

namespace joulefarm::agent {

class TcpPeer {
 public:
  class Connection {
   public:
    explicit Connection(int fd) : fd_(fd) {}
    // Without its end; nullopt: the other side is gone.
    std::optional<std::string> ReadLine() {
      while (true) {
        const std::size_t end = text_.find("\r\n");
        if (end != std::string::npos) {
          std::string line = text_.substr(0, end);
          text_.erase(0, end + 2);
          return line;
        }
        if (!Receive()) return std::nullopt;
      }
    }
    // So many bytes; nullopt: the other side is gone.
    std::optional<std::string> Read(std::size_t size) {
      while (text_.size() < size) {
        if (!Receive()) return std::nullopt;
      }
      std::string bytes = text_.substr(0, size);
      text_.erase(0, size);
      return bytes;
    }
    void Send(const std::string& text) { send(fd_, text.data(), text.size(), MSG_NOSIGNAL); }

   private:
    bool Receive() {
      std::array<char, 256> bytes{};
      const ssize_t n = recv(fd_, bytes.data(), bytes.size(), 0);
      if (n > 0) text_.append(bytes.data(), static_cast<std::size_t>(n));
      return n > 0;
    }

    const int fd_;
    std::string text_;
  };
  using Script = std::function<void(Connection&)>;

  // A connection ends when the script does; after so many of them there are no more.
  explicit TcpPeer(Script script, int connections = 1)
      : listen_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(at);
    EXPECT_EQ(bind(listen_, reinterpret_cast<sockaddr*>(&at), sizeof(at)), 0);
    EXPECT_EQ(listen(listen_, 1), 0);
    EXPECT_EQ(getsockname(listen_, reinterpret_cast<sockaddr*>(&at), &size), 0);
    port_ = ntohs(at.sin_port);
    EXPECT_EQ(pipe(stop_.data()), 0);
    thread_ = std::thread([this, connections, script = std::move(script)] {
      for (int i = 0; i < connections && Serve(script); ++i) {
      }
    });
  }
  ~TcpPeer() {
    close(stop_[1]);
    thread_.join();
    close(stop_[0]);
    close(listen_);
  }
  TcpPeer(const TcpPeer&) = delete;
  TcpPeer& operator=(const TcpPeer&) = delete;

  std::string address() const { return absl::StrCat("127.0.0.1:", port_); }
  int port() const { return port_; }

 private:
  // False: it is to end.
  bool Serve(const Script& script) {
    std::array<pollfd, 2> ready{pollfd{listen_, POLLIN, 0}, pollfd{stop_[0], POLLIN, 0}};
    poll(ready.data(), ready.size(), -1);
    if (ready[1].revents != 0) return false;
    const int fd = accept4(listen_, nullptr, nullptr, SOCK_CLOEXEC);
    Connection connection(fd);
    script(connection);
    close(fd);
    return true;
  }

  const int listen_;
  int port_ = 0;
  std::array<int, 2> stop_{-1, -1};
  std::thread thread_;
};

}  // namespace joulefarm::agent
