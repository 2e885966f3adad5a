// A channel of something this host measures, as it is declared.
//
// Threads: pure functions. Ownership: values.
#pragma once

#include <string>
#include <utility>

#include "joulefarm/v1/measurement.pb.h"

namespace joulefarm::agent {

inline v1::ChannelInfo MeasuredChannel(std::string name, v1::Quantity quantity, double scale,
                                       double nominal_hz, std::string description) {
  v1::ChannelInfo channel;
  channel.set_name(std::move(name));
  channel.set_quantity(quantity);
  channel.set_scale(scale);
  channel.set_nominal_hz(nominal_hz);
  channel.set_provenance(v1::PROVENANCE_MEASURED);
  channel.set_description(std::move(description));
  return channel;
}

}  // namespace joulefarm::agent
