// Monsoon HVPM (AAA10F) and LVPM (FTA22D): the packets of samples they send.
//
// Threads: see MeterDecoder. Ownership: values.
#pragma once

#include <cstdint>
#include <memory>

#include "agent/power/meter/model.h"

namespace joulefarm::agent {

enum class MonsoonKind { kHighVoltage, kLowVoltage };

// What a channel's raw values are multiplied with and what is taken off them first; of the device.
struct MonsoonRange {
  double scale = 0;   // fine: µA, coarse: mA, of the reference current
  double offset = 0;  // raw
};
struct MonsoonCalibration {
  MonsoonKind kind = MonsoonKind::kHighVoltage;
  MonsoonRange main_fine;
  MonsoonRange main_coarse;
  MonsoonRange usb_fine;
  MonsoonRange usb_coarse;
};

// Without a device to ask, such as when a capture is decoded: an HVPM with scales of 36500 (fine)
// and 6400 (coarse) and offsets of 15. Another one's currents differ from that by some per cent.
MonsoonCalibration NominalMonsoonCalibration();

// A packet is a 16-bit count of samples dropped so far, flags, a number of observations (1 to 3)
// and these, 200 µs apart. An observation is a measurement, or one of the two calibrations that the
// device inserts (zero and reference current), of which the means of the last five turn raw values
// into amperes; before both have been there, measurements give nothing. t_ns: 200 µs per
// observation, dropped ones included, since Reset. More: usb_voltage_v, usb_current_a. Measurements
// while its output is off, or it says over-current, are refused: they are not the device's.
std::unique_ptr<MeterDecoder> MakeMonsoonDecoder(const MonsoonCalibration& calibration);

// One model, because only asking the device tells the two apart.
MeterModel MonsoonModel();

}  // namespace joulefarm::agent
