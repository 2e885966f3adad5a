// What of a Jetson board's rails is the whole board, by the labels their maker gave them.
//
// Threads: constants.
#pragma once

#include <array>
#include <vector>

#include "absl/strings/string_view.h"

namespace joulefarm::agent {

// Rails that are the input of their whole board.
inline constexpr std::array<absl::string_view, 3> kJetsonInputRails = {"VDD_IN", "POM_5V_IN",
                                                                       "VIN"};

// Boards whose maker defines their power as a sum.
inline const std::vector<std::vector<absl::string_view>>& JetsonSummedBoards() {
  static const auto& boards = *new std::vector<std::vector<absl::string_view>>{
      {"GPU", "CPU", "SOC", "CV", "VDDRQ", "SYS5V"},                     // AGX Xavier
      {"VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0", "VDDQ_VDD2_1V8AO"}};  // AGX Orin
  return boards;
}

}  // namespace joulefarm::agent
