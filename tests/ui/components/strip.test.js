import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cellRows, drawnSize, tokenRows } from '../../../mmreason/ui/components/group/segment/strip.js';
import { csvOf } from '../../../mmreason/ui/components/shared/save.js';

test('a saved picture keeps its shape, and neither a tiny nor a huge one leaves what can be looked at', () => {
  assert.deepEqual(drawnSize(320, 240), [320, 240]);
  assert.deepEqual(drawnSize(1024, 768), [512, 384]);
  assert.deepEqual(drawnSize(8, 16), [96, 192]);
  assert.deepEqual(drawnSize(30000, 1), [512, 1]);
});

test('tokens are saved in their order, and what is not known stays empty', () => {
  const rows = tokenRows([
    { word: 'left,', probability: 0.25, step: 2 },
    { word: '=1+1', probability: null, step: null },
  ]);
  assert.equal(csvOf(rows), 'position,token,probability,step\r\n1,"left,",0.25,2\r\n2,\'=1+1,,\r\n');
});

test('cells are saved by row and column', () => {
  assert.equal(csvOf(cellRows([[1, 2, 0.5]])), 'row,column,probability\r\n1,2,0.5\r\n');
});
