// AVHzY CT-3 and C3, Shizuku YK001 and YK003C, POWER-Z KT002, ATORCH UT18: one protocol. The meter
// paces its samples itself, up to 1 kHz, and stamps them in microseconds.
//
// Threads: any. Ownership: values.
#pragma once

#include "agent/power/meter/model.h"

namespace joulefarm::agent {

MeterModel Ct3Model();

}  // namespace joulefarm::agent
