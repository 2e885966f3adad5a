#include "agent/process/stop_fd.h"

#include <poll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <array>
#include <utility>

#include "agent/process/boottime.h"

namespace joulefarm::agent {
namespace {

// poll's clock stands still while the machine sleeps, so a long wait looks at BOOTTIME again from
// time to time.
constexpr std::int64_t kLongestPollNs = 1'000'000'000;

}  // namespace

void StopFd::Notify::operator()() const noexcept {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(fd, &one, sizeof one);
}

StopFd::StopFd(std::stop_token token)
    : event_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), token_(std::move(token)) {
  callback_.emplace(token_, Notify{event_.get()});
}

Wake StopFd::WaitFor(int fd, short events, std::optional<std::int64_t> deadline_ns) const {
  std::array<pollfd, 2> fds = {pollfd{event_.get(), POLLIN, 0}, pollfd{fd, events, 0}};
  while (true) {
    if (token_.stop_requested()) return Wake::kStop;
    std::int64_t wait_ns = kLongestPollNs;
    if (deadline_ns) wait_ns = std::clamp<std::int64_t>(*deadline_ns - BoottimeNs(), 0, wait_ns);
    const timespec timeout{static_cast<time_t>(wait_ns / 1'000'000'000),
                           static_cast<long>(wait_ns % 1'000'000'000)};
    const int ready = ppoll(fds.data(), fds.size(), &timeout, nullptr);
    if (token_.stop_requested()) return Wake::kStop;
    if (ready > 0 && fds[1].revents != 0) return Wake::kReady;
    if (deadline_ns && BoottimeNs() >= *deadline_ns) return Wake::kDeadline;
  }
}

}  // namespace joulefarm::agent
