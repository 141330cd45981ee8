// A file that is dropped -> createUpload, its bytes, and its id in the variables: a plugin of GraphiQL.
"use strict";

const BulkqlUpload = (() => {
  const { createElement: h, useRef, useState } = React;

  const CREATE_UPLOAD = `mutation Upload($name: String!, $size: BigInt) {
    createUpload(name: $name, size: $size) { id url method headers { name value } }
  }`;

  const icon = () =>
    h("svg", { viewBox: "0 0 24 24", fill: "none", stroke: "currentColor", strokeWidth: 1.5 },
      h("path", { d: "M12 16V4m0 0L7 9m5-5 5 5M4 15v4a1 1 0 0 0 1 1h14a1 1 0 0 0 1-1v-4" }));

  // Announces the file, and sends its bytes; `told` hears of the part that is sent, from 0 to 1.
  const upload = async (file, post, graphql, csrfToken, told) => {
    const body = JSON.stringify({ query: CREATE_UPLOAD, variables: { name: file.name, size: String(file.size) } });
    const response = await post(graphql, { method: "POST", headers: { "Content-Type": "application/json" }, body });
    const answer = await response.json();
    if (answer.errors) throw new Error(answer.errors.map((one) => one.message).join(" "));
    const place = answer.data.createUpload;
    await new Promise((resolve, reject) => {
      // fetch tells nothing of how far it has come.
      const request = new XMLHttpRequest();
      request.open(place.method, new URL(place.url).pathname);
      for (const { name, value } of place.headers) request.setRequestHeader(name, value);
      request.setRequestHeader("X-CSRFToken", csrfToken());
      request.upload.onprogress = (event) => told(event.loaded / (event.total || 1));
      request.onload = () => (request.status < 300 ? resolve() : reject(new Error(messageOf(request))));
      request.onerror = () => reject(new Error("The connection broke off."));
      request.send(file);
    });
    return place.id;
  };

  const messageOf = (request) => {
    try {
      return JSON.parse(request.responseText).errors.map((one) => one.message).join(" ");
    } catch {
      return `The service answered ${request.status}.`;
    }
  };

  // The variables with the id in each `file`; null where there is none.
  const withUpload = (text, id) => {
    let variables;
    try {
      variables = JSON.parse(text || "{}");
    } catch {
      return null;
    }
    let isFound = false;
    const fill = (value) => {
      if (value === null || typeof value !== "object") return;
      for (const [key, item] of Object.entries(value)) {
        if (key === "file" && item !== null && typeof item === "object") {
          item.uploadId = id;
          isFound = true;
        } else fill(item);
      }
    };
    fill(variables);
    return isFound ? JSON.stringify(variables, null, 2) : null;
  };

  const sizeOf = (bytes) => `${bytes.toLocaleString("en")} bytes`;

  const plugin = ({ graphql, post, csrfToken }) => {
    // Outlives the panel, which is made anew each time it is shown.
    const sent = [];

    const Content = () => {
      const { variableEditor } = GraphiQL.React.useEditorContext();
      const input = useRef(null);
      const [, draw] = useState(0);
      const [isOver, setIsOver] = useState(false);

      const take = async (files) => {
        for (const file of files) {
          const one = { name: file.name, size: file.size, part: 0, id: null, error: null, isPut: false };
          sent.unshift(one);
          const again = () => draw((count) => count + 1);
          again();
          try {
            one.id = await upload(file, post, graphql, csrfToken, (part) => { one.part = part; again(); });
            const filled = withUpload(variableEditor?.getValue(), one.id);
            if (filled !== null) { variableEditor.setValue(filled); one.isPut = true; }
          } catch (error) {
            one.error = error.message;
          }
          again();
        }
      };

      const drop = (event) => {
        event.preventDefault();
        setIsOver(false);
        take([...event.dataTransfer.files]);
      };

      return h("div", { className: "bulkql-upload" },
        h("div", { className: "graphiql-doc-explorer-title" }, "Upload a file"),
        h("button", {
          type: "button",
          className: `bulkql-drop${isOver ? " bulkql-over" : ""}`,
          onClick: () => input.current.click(),
          onDragOver: (event) => { event.preventDefault(); setIsOver(true); },
          onDragLeave: () => setIsOver(false),
          onDrop: drop,
        }, icon(), h("span", null, "Drop a file here, or click to choose one.")),
        h("input", {
          ref: input, type: "file", hidden: true, "aria-label": "File",
          onChange: (event) => { take([...event.target.files]); event.target.value = ""; },
        }),
        h("p", null, "Its id is put into the variables of the open tab, wherever they have a ",
          h("code", null, "file"), "; the tab File has one."),
        h("ul", { "aria-live": "polite" }, sent.map((one, place) => h("li", { key: sent.length - place },
          h("strong", null, one.name), ` ${sizeOf(one.size)}`,
          one.error !== null ? h("p", { role: "alert" }, one.error)
            : one.id === null ? h("progress", { value: one.part, "aria-label": `Upload of ${one.name}` })
            : h("p", null, h("code", null, one.id), h("br"), one.isPut ? "It is in the variables." : "Copy it into a file.")))));
    };

    return { title: "Upload a file", icon, content: Content };
  };

  return { plugin };
})();
