//===- Nodes.h - Process nodes and general scaling formulas -------*- C++ -*-===//
#pragma once

namespace npucc {

/// How many generations lie between two nodes: 0 for half nodes of the same generation (45 and
/// 40 nm), 1 for neighbours (45 and 32 nm), and so on.
int nodeSteps(double fromNm, double toNm);
/// The node `steps` generations from `fromNm` towards `toNm`, or `toNm` where it is no further.
double nodeTowards(double fromNm, double toNm, int steps);

/// Energy of logic at node `to` over that at node `from`, both at 0.8 V: A. Stillmaker and
/// B. Baas, "Scaling equations for the accurate prediction of CMOS device performance",
/// Integration 58, 2017.
double nodeEnergyRatio(double fromNm, double toNm);
/// Area of logic at node `to` over that at node `from`, same source.
double nodeAreaRatio(double fromNm, double toNm);

} // namespace npucc
