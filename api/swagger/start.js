// Shows the API's own document; a page of its own, because inline scripts are not allowed here.
SwaggerUIBundle({ url: "/openapi.json", dom_id: "#reference", deepLinking: true, validatorUrl: null });
