// Lines of tegrastats on several boards.
//
// Threads: any. Ownership: values.
#pragma once

#include "agent/power/meter/tegrastats.h"
#include "tests/agent/power/meter/meter_case.h"

namespace joulefarm::agent::tegrastats {

inline constexpr char kTx1[] =
    "RAM 388/3984MB (lfb 779x4MB) IRAM 0/252kB(lfb 252kB) CPU [5%@1734,0%@1734] EMC_FREQ 0%@1600 "
    "GR3D_FREQ 7%@998 APE 25 AO@30.5C CPU@25.5C thermal@24C";
inline constexpr char kTx1Old[] = "cpu [17%,13%,29%,5%]@408 EMC 1%@408 APE 25 GR3D 3%@76";
inline constexpr char kTx2[] =
    "EMC_FREQ 1%@665 GR3D_FREQ 3%@140 APE 150 MTS fg 0% bg 0% BCPU@30C MCPU@30C GPU@28C VDD_IN "
    "1383/1383 VDD_CPU 153/191 VDD_GPU 76/76 VDD_SOC 384/384 VDD_WIFI 364/335 VDD_DDR 192/201";
inline constexpr char kTx2Load[] =
    "RAM 4722/7844MB (lfb 1x512kB) CPU [R%@2035,R%@2035] SWAP 149/1024MB (cached 7MB) EMC_FREQ "
    "2%@1866 GR3D_FREQ 9%@1300 APE 150 MTS fg 0% bg 0% BCPU@-45C MCPU@-45C GPU@-51C PLL@45C VDD_IN "
    "14025/14416 VDD_CPU 2209/2538 VDD_GPU 6854/6903 VDD_SOC 1371/1370 VDD_WIFI 19/19 NVENC 716 "
    "NVDEC 716 VDD_DDR 2702/2702";
inline constexpr char kXavier[] =
    "GR3D_FREQ 0%@1377 APE 150 MTS fg 0% bg 0% AO@26.5C GPU@28C iwlwifi@30C GPU 1155/1155 CPU "
    "385/385 SOC 2502/2502 CV 0/0 VDDRQ 192/192 SYS5V 2692/2692";
inline constexpr char kNano[] =
    "RAM 1923/3964MB (lfb 2x2MB) SWAP 191/1982MB (cached 6MB) IRAM 0/252kB(lfb 252kB) CPU "
    "[5%@1224,4%@1224,3%@1224,6%@1224] EMC_FREQ 0%@1600 GR3D_FREQ 0%@76 APE 25 PLL@37C CPU@40C "
    "PMIC@50C GPU@40C AO@45C thermal@40C POM_5V_IN 1750/1628 POM_5V_GPU 0/0 POM_5V_CPU 366/406";
inline constexpr char kOrinNano[] =
    "12-23-2024 22:54:11 RAM 3162/7620MB (lfb 4x2MB) SWAP 0/3810MB (cached 0MB) CPU "
    "[1%@729,3%@729,off,off] GR3D_FREQ 1% cpu@62.843C VDD_IN 3913mW/3922mW VDD_CPU_GPU_CV "
    "598mW/598mW VDD_SOC 1238mW/1237mW";

inline MutationCase Case() {
  return {.make = TegrastatsModel().make_decoder,
          .frames = {LineOf(kNano), LineOf(kXavier), LineOf(kOrinNano)},
          .stream = true};
}

}  // namespace joulefarm::agent::tegrastats
