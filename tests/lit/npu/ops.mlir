// Printed and parsed again, every op of the dialect is the same.
// RUN: npu-opt %s | npu-opt | FileCheck %s
// RUN: npu-opt %s --mlir-print-op-generic | npu-opt | FileCheck %s

// CHECK-LABEL: func.func @memory
func.func @memory() {
  // CHECK: npu.input "x" : memref<8x40xf32, strided<[40, 1]>, #npu.mem<dram>>
  %x = npu.input "x" : memref<8x40xf32, strided<[40, 1]>, #npu.mem<dram>>
  %c = onnx.constant dense<1.0> : tensor<4xf32>
  // CHECK: npu.constant %{{.*}} : tensor<4xf32> -> memref<4xf32, #npu.mem<dram>>
  %w = npu.constant %c : tensor<4xf32> -> memref<4xf32, #npu.mem<dram>>
  // CHECK: npu.buffer {address = 64 : i64, slot_bytes = 640 : i64, slots = 2 : i64}
  // CHECK-SAME: memref<4x40xf32, #npu.mem<spm>>
  %tile = npu.buffer {address = 64 : i64, slot_bytes = 640 : i64, slots = 2 : i64}
      : memref<4x40xf32, #npu.mem<spm>>
  // CHECK: npu.view %{{.*}} -> memref<160xf32, #npu.mem<spm>>
  %flat = npu.view %tile : memref<4x40xf32, #npu.mem<spm>> -> memref<160xf32, #npu.mem<spm>>
  %y = npu.buffer : memref<8x40xf32, strided<[40, 1]>, #npu.mem<dram>>
  // CHECK: npu.output %{{.*}}, "y" {type_name = "bf16"}
  npu.output %y, "y" {type_name = "bf16"} : memref<8x40xf32, strided<[40, 1]>, #npu.mem<dram>>
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  scf.for %i = %c0 to %c2 step %c1 {
    // CHECK: npu.wait 1 on <load, 0>
    npu.wait 1 on <load, 0>
    // CHECK-NEXT: npu.advance %{{.*}} on <load, 0>
    npu.advance %tile on <load, 0> : memref<4x40xf32, #npu.mem<spm>>
    // CHECK-NEXT: npu.load %{{.*}}[#{{.*}}] (%{{.*}}) to %{{.*}} on <load, 0>
    npu.load %x[affine_map<()[s0] -> (s0 * 4, 0)>] (%i) to %tile on <load, 0>
        : memref<8x40xf32, strided<[40, 1]>, #npu.mem<dram>> -> memref<4x40xf32, #npu.mem<spm>>
    // CHECK-NEXT: npu.signal 0 on <load, 0>
    npu.signal 0 on <load, 0>
    // CHECK-NEXT: npu.wait 0 on <store, 0> {redundant}
    npu.wait 0 on <store, 0> {redundant}
    // CHECK-NEXT: npu.store %{{.*}} to %{{.*}}[#{{.*}}] (%{{.*}}) on <store, 0>
    npu.store %tile to %y[affine_map<()[s0] -> (s0 * 4, 0)>] (%i) on <store, 0>
        : memref<4x40xf32, #npu.mem<spm>> -> memref<8x40xf32, strided<[40, 1]>, #npu.mem<dram>>
  }
  return
}

// CHECK-LABEL: func.func @product
func.func @product(%a: memref<4x8xf32, #npu.mem<spm>>, %b: memref<8x16xf32, #npu.mem<spm>>,
                   %bias: memref<16xf32, #npu.mem<spm>>, %out: memref<4x16xf32, #npu.mem<spm>>) {
  %acc = npu.buffer : memref<4x16xf32, #npu.mem<acc>>
  // CHECK: npu.matrix(%{{.*}}, %{{.*}}) acc(%{{.*}}) params(%{{.*}} : memref<16xf32, #npu.mem<spm>>)
  // CHECK-SAME: out(%{{.*}} : memref<4x16xf32, #npu.mem<spm>>) ivs() <[4, 16, 8], bounds = [-1, -1, -1],
  // CHECK-SAME: reduction = [0, 0, 1], roles = [1, 2, 3]>
  // CHECK-SAME: {a_zero = 3 : i64}
  // CHECK: npu.yield %{{.*}} : f32
  npu.matrix(%a, %b) acc(%acc) params(%bias : memref<16xf32, #npu.mem<spm>>)
      out(%out : memref<4x16xf32, #npu.mem<spm>>) ivs() <[4, 16, 8], bounds = [-1, -1, -1],
      starts = () -> (0, 0, 0), reduction = [0, 0, 1], roles = [1, 2, 3]> [
        #npu.access<(d0, d1, d2) -> (d0, d2), origin = () -> (0, 0), bounds = [-1, 8], fill = 0.0>,
        #npu.access<(d0, d1, d2) -> (d2, d1), origin = () -> (0, 0), bounds = [-1, -1], fill = 0.0>,
        #npu.access<(d0, d1, d2) -> (d0, d1), origin = () -> (0, 0), bounds = [-1, -1], fill = 0.0>,
        #npu.access<(d0, d1, d2) -> (d1), origin = () -> (0), bounds = [-1], fill = 0.0>,
        #npu.access<(d0, d1, d2) -> (d0, d1), origin = () -> (0, 0), bounds = [-1, -1], fill = 0.0>
      ] {a_zero = 3 : i64} : memref<4x8xf32, #npu.mem<spm>>, memref<8x16xf32, #npu.mem<spm>>,
        memref<4x16xf32, #npu.mem<acc>> do {
  ^bb0(%sum: f32, %add: f32, %old: f32):
    %0 = arith.addf %sum, %add : f32
    npu.yield %0 : f32
  }
  // Without an epilogue the sums stay in the accumulators.
  // CHECK: npu.matrix(%{{.*}}, %{{.*}}) acc(%{{.*}}) ivs()
  // CHECK-SAME: do {
  npu.matrix(%a, %b) acc(%acc) ivs() <[4, 16, 8], bounds = [-1, -1, -1],
      starts = () -> (0, 0, 0), reduction = [0, 0, 1], roles = [1, 2, 3]> [
        #npu.access<(d0, d1, d2) -> (d0, d2), origin = () -> (0, 0), bounds = [-1, -1], fill = 0.0>,
        #npu.access<(d0, d1, d2) -> (d2, d1), origin = () -> (0, 0), bounds = [-1, -1], fill = 0.0>,
        #npu.access<(d0, d1, d2) -> (d0, d1), origin = () -> (0, 0), bounds = [-1, -1], fill = 0.0>
      ] : memref<4x8xf32, #npu.mem<spm>>, memref<8x16xf32, #npu.mem<spm>>,
        memref<4x16xf32, #npu.mem<acc>> do {
  }
  return
}

// CHECK-LABEL: func.func @nests
func.func @nests(%x: memref<4x8xi8, #npu.mem<spm>>, %table: memref<256xf32, #npu.mem<spm>>,
                 %sum: memref<4xf32, #npu.mem<spm>>) {
  // CHECK: npu.vector ins(%{{.*}}, %{{.*}} : memref<4x8xi8, #npu.mem<spm>>, memref<256xf32, #npu.mem<spm>>)
  // CHECK-SAME: outs(%{{.*}} : memref<4xf32, #npu.mem<spm>>)
  // CHECK-SAME: {initial = array<f64: 0.000000e+00>} do {
  // CHECK: npu.lookup %{{.*}} in 1 : i8 -> f32
  // CHECK: npu.index 1 : index
  npu.vector ins(%x, %table : memref<4x8xi8, #npu.mem<spm>>, memref<256xf32, #npu.mem<spm>>)
      outs(%sum : memref<4xf32, #npu.mem<spm>>) ivs() <[4, 8], bounds = [-1, -1],
      starts = () -> (0, 0), reduction = [0, 1], roles = [5, 5]> [
        #npu.access<(d0, d1) -> (d0, d1), origin = () -> (0, 0), bounds = [-1, -1], fill = 0.0>,
        #npu.access<(d0, d1) -> (0), origin = () -> (0), bounds = [-1], fill = 0.0>,
        #npu.access<(d0, d1) -> (d0), origin = () -> (0), bounds = [-1], fill = 0.0>
      ] {initial = array<f64: 0.0>} do {
  ^bb0(%in: i8, %first: f32, %before: f32):
    %0 = npu.lookup %in in 1 : i8 -> f32
    %1 = npu.index 1 : index
    %2 = arith.index_cast %1 : index to i32
    %3 = arith.sitofp %2 : i32 to f32
    %4 = arith.mulf %0, %3 : f32
    %5 = arith.addf %before, %4 : f32
    npu.yield %5 : f32
  }
  return
}

// CHECK-LABEL: func.func @host
func.func @host(%x: memref<4x8xf32, #npu.mem<dram>>, %y: memref<4x8xf32, #npu.mem<dram>>) {
  // CHECK: npu.absent
  %none = npu.absent
  // CHECK: npu.host "CumSum"(%{{.*}}, %{{.*}} : memref<4x8xf32, #npu.mem<dram>>, none)
  // CHECK-SAME: reason = "for the sake of it"
  npu.host "CumSum"(%x, %none : memref<4x8xf32, #npu.mem<dram>>, none)
      outs(%y : memref<4x8xf32, #npu.mem<dram>>)
      {domain = "", parameters = {}, reason = "for the sake of it",
       input_types = [tensor<4x8xf32>, none], output_types = [tensor<4x8xf32>]}
  return
}
