// What is wrong with the controller, its database, its disk and its farm.
//
// Thread rule: blocks while files are read; call it on a pool. Ownership: everything given outlives
// the call.
#pragma once

#include <string>

#include "controller/artifacts/artifact_files.h"
#include "controller/store/reader.h"
#include "joulefarm/v1/farm_service.pb.h"

namespace joulefarm::controller {

struct DiagnoseInput {
  std::string version;
  std::string database;          // its path
  std::string read_only_reason;  // why the farm cannot write; empty when it can
  // Also reads the whole database and every artifact.
  bool thorough = false;
};

v1::DiagnoseResponse Diagnose(const DiagnoseInput& input, Reader& reader,
                              const ArtifactFiles& files);

}  // namespace joulefarm::controller
