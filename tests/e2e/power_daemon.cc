#include "tests/e2e/power_daemon.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace joulefarm::e2e {
namespace {

using std::chrono::milliseconds;
using std::chrono::system_clock;

constexpr milliseconds kPeriod(50);

// "11-22-2026 15:05:14.313".
std::string Stamp(system_clock::time_point at) {
  const auto since = std::chrono::duration_cast<milliseconds>(at.time_since_epoch());
  const std::time_t seconds = since.count() / 1000;
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  return absl::StrFormat("%02d-%02d-%04d %02d:%02d:%02d.%03d", utc.tm_mon + 1, utc.tm_mday,
                         utc.tm_year + 1900, utc.tm_hour, utc.tm_min, utc.tm_sec,
                         static_cast<int>(since.count() % 1000));
}

// The samples that are due since the question before.
std::string LastSamples(double watts, system_clock::time_point& next) {
  std::vector<std::string> lines;
  for (; next <= system_clock::now(); next += kPeriod) {
    lines.push_back(absl::StrFormat("Time,%s,Watts,%.3f,Volts,5.000,Amps,%.4f,PF,1.0,Mark,notset",
                                    Stamp(next), watts, watts / 5));
  }
  return absl::StrJoin(lines, "", [](std::string* out, const std::string& line) {
    absl::StrAppend(out, line, "\r\n");
  });
}

}  // namespace

PowerDaemon::PowerDaemon(std::function<double()> watts)
    : watts_(std::move(watts)), listen_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof at;
  EXPECT_EQ(bind(listen_, reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
  EXPECT_EQ(listen(listen_, 8), 0);
  EXPECT_EQ(getsockname(listen_, reinterpret_cast<sockaddr*>(&at), &size), 0);
  EXPECT_EQ(pipe2(stop_.data(), O_CLOEXEC), 0);
  address_ = absl::StrCat("127.0.0.1:", ntohs(at.sin_port));
  thread_ = std::thread([this] { Run(); });
}

PowerDaemon::~PowerDaemon() {
  close(stop_[1]);
  thread_.join();
  close(stop_[0]);
  close(listen_);
}

bool PowerDaemon::AwaitInput(int fd) const {
  std::array<pollfd, 2> ready{pollfd{fd, POLLIN, 0}, pollfd{stop_[0], POLLIN, 0}};
  poll(ready.data(), ready.size(), -1);
  return ready[1].revents == 0;
}

void PowerDaemon::Run() const {
  while (AwaitInput(listen_)) {
    const int fd = accept4(listen_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) continue;
    Serve(fd);
    close(fd);
  }
}

void PowerDaemon::Serve(int fd) const {
  std::string text;
  system_clock::time_point next = system_clock::now();
  const auto answer = [&](const std::string& command) -> std::string {
    if (command == "Hello") return "Hello, PTDaemon here!\r\n";
    if (command == "Identify") return "Played,0,1.0\r\n";
    if (command == "Stop") return "Stopping untimed measurement\r\n";
    if (absl::StartsWith(command, "Go,")) {
      next = system_clock::now();
      return "Starting untimed measurement\r\n";
    }
    const std::string samples = LastSamples(watts_(), next);
    const auto count = std::count(samples.begin(), samples.end(), '\n');
    return absl::StrCat("Last ", count, " samples\r\n", samples);
  };
  while (AwaitInput(fd)) {
    std::array<char, 256> bytes{};
    const ssize_t n = recv(fd, bytes.data(), bytes.size(), 0);
    if (n <= 0) return;
    text.append(bytes.data(), static_cast<std::size_t>(n));
    for (std::size_t end = 0; (end = text.find("\r\n")) != std::string::npos;
         text.erase(0, end + 2)) {
      const std::string reply = answer(text.substr(0, end));
      send(fd, reply.data(), reply.size(), MSG_NOSIGNAL);
    }
  }
}

}  // namespace joulefarm::e2e
