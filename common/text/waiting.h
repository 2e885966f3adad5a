// How what an attempt says of itself (AttemptReport.detail) begins while it waits for something:
// the agent writes it so, and the controller then says it of the job and of the device, too.
//
// Thread rule: a constant. Ownership: none.
#pragma once

namespace joulefarm {

inline constexpr char kWaitingFor[] = "waiting for ";

}  // namespace joulefarm
