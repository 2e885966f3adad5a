#include "agent/process/output_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <chrono>
#include <utility>

#include "agent/process/boottime.h"

namespace joulefarm::agent {

OutputReader::OutputReader(UniqueFd stdout_fd, UniqueFd stderr_fd,
                           std::function<void(const OutputLine&)> on_line)
    : streams_{Stream{std::move(stdout_fd), OutputSource::kStdout, {}},
               Stream{std::move(stderr_fd), OutputSource::kStderr, {}}},
      on_line_(std::move(on_line)),
      stop_(eventfd(0, EFD_CLOEXEC)) {
  for (const Stream& stream : streams_) fcntl(stream.fd.get(), F_SETFL, O_NONBLOCK);
  thread_ = std::thread([this] { Loop(); });
}

OutputReader::~OutputReader() { Stop(); }

bool OutputReader::WaitForEnd(std::int64_t deadline_ns) {
  std::unique_lock lock(mutex_);
  return ended_changed_.wait_for(lock, std::chrono::nanoseconds(deadline_ns - BoottimeNs()),
                                 [this] { return ended_; });
}

void OutputReader::Stop() {
  if (!thread_.joinable()) return;
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(stop_.get(), &one, sizeof one);
  thread_.join();
}

std::string OutputReader::Tail() const {
  const std::lock_guard lock(mutex_);
  return tail_.size() <= kTailBytes ? tail_ : tail_.substr(tail_.size() - kTailBytes);
}

void OutputReader::Loop() {
  bool stopping = false;
  while (streams_[0].fd.valid() || streams_[1].fd.valid()) {
    // An ended stream has descriptor -1, which poll passes over.
    std::array<pollfd, 3> fds = {pollfd{streams_[0].fd.get(), POLLIN, 0},
                                 pollfd{streams_[1].fd.get(), POLLIN, 0},
                                 pollfd{stop_.get(), POLLIN, 0}};
    const int ready = poll(fds.data(), stopping ? 2 : 3, stopping ? 0 : -1);
    if (ready < 0 && errno == EINTR) continue;
    if (stopping && ready <= 0) break;
    for (std::size_t i = 0; i < streams_.size(); ++i) {
      if (fds[i].revents != 0 && !ReadOnce(streams_[i])) streams_[i].fd.Reset();
    }
    if (fds[2].revents == 0) continue;
    if (stopping) break;  // one last look was taken: a flood must not keep us
    stopping = true;
  }
  for (Stream& stream : streams_) {
    if (!stream.partial.empty()) HandOut(stream, BoottimeNs());
  }
  const std::lock_guard lock(mutex_);
  ended_ = true;
  ended_changed_.notify_all();
}

bool OutputReader::ReadOnce(Stream& stream) {
  std::array<char, std::size_t{64} * 1024> buffer;
  const ssize_t n = read(stream.fd.get(), buffer.data(), buffer.size());
  const std::int64_t t_ns = BoottimeNs();
  if (n < 0) return errno == EAGAIN || errno == EINTR;
  if (n == 0) return false;
  absl::string_view bytes(buffer.data(), static_cast<std::size_t>(n));
  Remember(bytes);
  while (!bytes.empty()) {
    const std::size_t newline = bytes.find('\n');
    const std::size_t room = kLongestLine - stream.partial.size();
    if (newline != absl::string_view::npos && newline <= room) {
      stream.partial.append(bytes.data(), newline);
      bytes.remove_prefix(newline + 1);
      HandOut(stream, t_ns);
    } else {
      const std::size_t taken = std::min(room, bytes.size());
      stream.partial.append(bytes.data(), taken);
      bytes.remove_prefix(taken);
      if (stream.partial.size() >= kLongestLine) HandOut(stream, t_ns);
    }
  }
  return true;
}

void OutputReader::HandOut(Stream& stream, std::int64_t t_ns) {
  absl::string_view text = stream.partial;
  if (!text.empty() && text.back() == '\r') text.remove_suffix(1);
  if (on_line_) on_line_(OutputLine{stream.source, text, t_ns});
  stream.partial.clear();
}

void OutputReader::Remember(absl::string_view bytes) {
  const std::lock_guard lock(mutex_);
  tail_.append(bytes.data(), bytes.size());
  // Cut only now and then, so that a flood does not move the tail with every read.
  if (tail_.size() > 4 * kTailBytes) tail_.erase(0, tail_.size() - kTailBytes);
}

}  // namespace joulefarm::agent
