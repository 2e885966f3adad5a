// Output of Android's `dumpsys battery`: the phone's fuel gauge.
//
// Threads: see MeterDecoder. Ownership: values.
#pragma once

#include "agent/power/meter/model.h"

namespace joulefarm::agent {

// A sample per dump; one begins with "Current Battery Service state:", and without such lines where
// a key comes again.
//
// Units differ by maker, so they are told by size: a voltage of 1,000,000 or more is in µV, below
// 100 in V, else in mV; a current of 10,000 or more (without its sign) is in µA, else in mA. A
// current that is really below 10 mA in µA is read as 1000 times too much; no phone that does
// anything takes so little. What comes out below 1 or above 30 V, or above 20 A, is refused.
//
// The sign is left as it came. Android's rule is + = into the battery; makers break it. Where
// `status` contradicts the sign (charging with a negative current, discharging with a positive one)
// the sample has sign_doubtful 1. power_w = voltage * current, with the current's sign.
//
// More: charge_ah, temperature_c, level_pct, status, health, ac_powered and the like (1 or 0),
// max_charging_current_a, max_charging_voltage_v, sign_doubtful. Lines of other keys are passed
// over.
MeterModel DumpsysBatteryModel();

}  // namespace joulefarm::agent
