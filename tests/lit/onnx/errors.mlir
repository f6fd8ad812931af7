// RUN: npu-opt %s --split-input-file --verify-diagnostics

func.func @empty_name(%x: tensor<4xf32>) -> tensor<4xf32> {
  // expected-error@+1 {{'onnx.node' op needs an operator name}}
  %y = onnx.node ""(%x) {} : (tensor<4xf32>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

func.func @attribute_kind(%x: tensor<4xf32>) -> tensor<4xf32> {
  // expected-error@+1 {{attribute "axis" is none of ONNX's kinds: 1 : i32}}
  %y = onnx.node "Softmax"(%x) {axis = 1 : i32} : (tensor<4xf32>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

func.func @operand_type(%x: memref<4xf32>) -> tensor<4xf32> {
  // expected-error@+1 {{needs operands and results that are tensors or 'none', not 'memref<4xf32>'}}
  %y = onnx.node "Relu"(%x) {} : (memref<4xf32>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

func.func @data_shape() -> tensor<2xf32> {
  %c = onnx.constant dense<1.0> : tensor<4xf32>
  // expected-error@+1 {{needs equal static shapes, not 'tensor<4xf32>' and 'tensor<2xf32>'}}
  %d = onnx.data %c : tensor<4xf32> -> tensor<2xf32>
  return %d : tensor<2xf32>
}

// -----

func.func @data_of_argument(%x: tensor<4xf32>) -> tensor<4xbf16> {
  // expected-error@+1 {{needs a constant expression as source}}
  %d = onnx.data %x : tensor<4xf32> -> tensor<4xbf16>
  return %d : tensor<4xbf16>
}

// -----

func.func @data_signed() -> tensor<4xui8> {
  %c = onnx.constant dense<1> : tensor<4xui8>
  // expected-error@+1 {{stores signless types, not 'ui8'}}
  %d = onnx.data %c : tensor<4xui8> -> tensor<4xui8>
  return %d : tensor<4xui8>
}

// -----

// expected-error@+1 {{onnx.name must be a string}}
func.func @name(%x: tensor<4xf32> {onnx.name = 1 : i64}) {
  return
}

// -----

// expected-error@+1 {{unknown attribute "onnx.nane"}}
func.func @typo(%x: tensor<4xf32> {onnx.nane = "x"}) {
  return
}

// -----

// expected-error@+1 {{an entry of onnx.layers needs a string 'node', a string 'op' and an integer 'macs'}}
module attributes {onnx.layers = [{node = "conv1"}]} {
}

// -----

// expected-error@+1 {{onnx.model must be a string on a module}}
func.func private @model() attributes {onnx.model = "a.onnx"}
