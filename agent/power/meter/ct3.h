// AVHzY CT-3 and C3, Shizuku YK001 and YK003C, POWER-Z KT002, ATORCH UT18: one protocol. The meter
// paces its samples itself, up to 1 kHz, and stamps them in microseconds.
//
// Threads: any. Ownership: values.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "agent/power/meter/model.h"

namespace joulefarm::agent {

// `now`: BOOTTIME, ns; `pile_up`: waits while frames at a high rate gather. Tests have their own.
std::unique_ptr<MeterDriver> MakeCt3Driver(std::function<std::int64_t()> now,
                                           std::function<void()> pile_up);

MeterModel Ct3Model();

}  // namespace joulefarm::agent
