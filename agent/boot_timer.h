// A timer on CLOCK_BOOTTIME: asio's own stops while the machine is suspended.
//
// Thread rule: the io_context's thread. Ownership: owns a timerfd.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cstdint>
#include <functional>

namespace joulefarm::agent {

class BootTimer {
 public:
  BootTimer(boost::asio::io_context& io, std::function<void()> fired);

  // Fires once at the deadline (at once when it has passed); replaces an earlier one. May fire
  // early or, when it was just disarmed, late: whoever is told looks at the clock again.
  void Arm(std::int64_t deadline_ns);
  void Disarm();

 private:
  void Wait();

  const std::function<void()> fired_;
  boost::asio::posix::stream_descriptor timer_;
  bool waiting_ = false;
};

}  // namespace joulefarm::agent
