#include "agent/power/meter/registry.h"

#include "agent/power/meter/acd15p.h"
#include "agent/power/meter/ct3.h"
#include "agent/power/meter/dumpsys_battery.h"
#include "agent/power/meter/fl001.h"
#include "agent/power/meter/fnirsi.h"
#include "agent/power/meter/km001pro.h"
#include "agent/power/meter/km003c.h"
#include "agent/power/meter/monsoon.h"
#include "agent/power/meter/odpm.h"
#include "agent/power/meter/powermetrics.h"
#include "agent/power/meter/ppk2.h"
#include "agent/power/meter/ptdaemon.h"
#include "agent/power/meter/tc66.h"
#include "agent/power/meter/tegrastats.h"
#include "agent/power/meter/um25c.h"
#include "agent/power/meter/witrn.h"
#include "agent/power/meter/yzx.h"

namespace joulefarm::agent {

const std::vector<MeterModel>& MeterModels() {
  static const std::vector<MeterModel> models = {
      // clang-format off
      Acd15pModel(),
      Ct3Model(),
      DumpsysBatteryModel(),
      Fl001Model(),
      FnirsiC1Model(),
      FnirsiModel(),
      Km001ProModel(),
      Km003cModel(),
      MonsoonModel(),
      OdpmModel(),
      PowermetricsModel(),
      Ppk2Model(),
      PtdaemonModel(),
      Tc66Model(),
      TegrastatsModel(),
      Um25cModel(),
      WitrnModel(),
      YzxModel(),
      // clang-format on
  };
  return models;
}

const MeterModel* FindMeterModel(absl::string_view name) {
  for (const MeterModel& model : MeterModels()) {
    if (model.name == name) return &model;
  }
  return nullptr;
}

}  // namespace joulefarm::agent
