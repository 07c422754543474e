// One place that says which view library the dashboard uses.
import htm from "./vendor/htm.js";
import { h } from "./vendor/preact.js";

export { Component, render, useEffect, useMemo, useReducer, useRef, useState } from "./vendor/preact.js";

export const html = htm.bind(h);
