#include "agent/boot_timer.h"

#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

namespace joulefarm::agent {
namespace {

int MakeTimer() {
  const int fd = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
  if (fd < 0) throw std::system_error(errno, std::generic_category(), "timerfd_create");
  return fd;
}

}  // namespace

BootTimer::BootTimer(boost::asio::io_context& io, std::function<void()> fired)
    : fired_(std::move(fired)), timer_(io, MakeTimer()) {}

void BootTimer::Arm(std::int64_t deadline_ns) {
  // All zero would disarm it.
  const std::int64_t at = std::max<std::int64_t>(deadline_ns, 1);
  itimerspec spec{};
  spec.it_value.tv_sec = at / 1'000'000'000;
  spec.it_value.tv_nsec = at % 1'000'000'000;
  timerfd_settime(timer_.native_handle(), TFD_TIMER_ABSTIME, &spec, nullptr);
  if (!waiting_) Wait();
}

void BootTimer::Disarm() {
  const itimerspec none{};
  timerfd_settime(timer_.native_handle(), 0, &none, nullptr);
}

void BootTimer::Wait() {
  waiting_ = true;
  timer_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                    [this](const boost::system::error_code& error) {
                      if (error) return;
                      waiting_ = false;
                      std::uint64_t expirations = 0;
                      // Nothing to read: it was armed anew or disarmed meanwhile.
                      const bool due =
                          read(timer_.native_handle(), &expirations, sizeof expirations) > 0;
                      Wait();
                      if (due) fired_();
                    });
}

}  // namespace joulefarm::agent
